"""Data extensions: made, emptied, filled, counted and read.

Made and emptied by SOAP, filled and read by REST, as each is documented
(facts/marketing-cloud.md §5.1-5.3, §6). A rowset page is read as columns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from bounce_sync.marketing_cloud import soap
from bounce_sync.marketing_cloud.connection import Connection
from bounce_sync.marketing_cloud.errors import (
    DataExtensionDiffers,
    Place,
    RequestRefused,
    UnreadableAnswer,
    WriteFailed,
)
from bounce_sync.marketing_cloud.retrieving import Retriever

PAGE = 2_500
ROWS_A_WRITE = 2_500
BYTES_A_WRITE = 4_000_000
"""Well under the 32,000 rows and 5.9 MB that an asynchronous write takes."""

PAGES_IN_FLIGHT = 8
_TEXTS = frozenset({str, type(None)})


@dataclass(frozen=True)
class Field:
    """A column. `length` is that of a Text."""

    name: str
    kind: str = "Text"
    length: int | None = None
    is_key: bool = False

    def __str__(self) -> str:
        size = f"({self.length})" if self.length else ""
        return f"{self.name} {self.kind}{size}{' primary key' if self.is_key else ''}"


@dataclass(frozen=True)
class DataExtension:
    """What a data extension must look like. `key` is its external key and its name."""

    key: str
    fields: tuple[Field, ...]
    description: str = ""
    sendable_by: str | None = None


@dataclass(frozen=True)
class RowsetPage:
    """One page of a rowset: `count` rows in all, columns by lower-cased name."""

    count: int
    rows: int
    columns: Mapping[str, list[str]]


class DataExtensions:
    """The data extensions of one business unit."""

    def __init__(
        self,
        connection: Connection,
        unit: str,
        *,
        pages_in_flight: int = PAGES_IN_FLIGHT,
        longest_wait: float = 900.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._retriever = Retriever(connection, lambda line: None)
        self._unit = unit
        self._pages_in_flight = pages_in_flight
        self._longest_wait = longest_wait
        self._sleep, self._clock = sleep, clock

    # --- made ----------------------------------------------------------------------------------

    def fields(self, key: str) -> list[Field]:
        """The columns of the data extension with this external key; none if there is none."""
        properties = ("Name", "FieldType", "MaxLength", "IsPrimaryKey")
        place = Place(f"Retrieve DataExtensionField of {key}", self._unit)
        question = soap.Retrieve(
            "DataExtensionField",
            properties,
            soap.condition("DataExtension.CustomerKey", "equals", key),
        )
        found = []
        for page, _ in self._retriever.pages(question, place):
            for name, kind, length, is_key in page.texts(*properties):
                size = int(length) if length and kind == "Text" else None
                found.append(Field(str(name), str(kind), size, is_key == "true"))
        return found

    def sent_by(self, key: str) -> str | None:
        """The column by which it is sendable to the Subscriber Key; None if it isn't."""
        properties = ("SendableDataExtensionField.Name", "SendableSubscriberField.Name")
        place = Place(f"Retrieve DataExtension {key}", self._unit)
        question = soap.Retrieve(
            "DataExtension", properties, soap.condition("CustomerKey", "equals", key)
        )
        for page, _ in self._retriever.pages(question, place):
            for column, relates_to in page.texts(*properties):
                # Created as "Subscriber Key", given back as "_SubscriberKey" (facts §6).
                if (relates_to or "").strip("_").replace(" ", "") == "SubscriberKey":
                    return column
        return None

    def ensure(self, wanted: DataExtension) -> bool:
        """Make the data extension if it's missing; True if it was.

        Raises `DataExtensionDiffers` if there is one of other columns.
        """
        there = self.fields(wanted.key)
        if not there:
            try:
                self._create(wanted)
            except RequestRefused:  # its name is taken where an answer was lost and it's made again
                if not self.fields(wanted.key):
                    raise
            return True
        expected = {each.name.casefold() for each in wanted.fields}
        extra = [each for each in there if each.name.casefold() not in expected]
        wrong = _differences(there, wanted.fields, _same)
        self._refuse(wanted, [*wrong, *(f"{each} is too many" for each in extra)])
        return False

    def require(self, wanted: DataExtension) -> None:
        """Raise `DataExtensionDiffers` unless it's there, with a place for each wanted column.

        More columns, and longer ones, are its owner's business.
        """
        there = self.fields(wanted.key)
        if not there:
            place = Place(f"data extension {wanted.key}", self._unit)
            raise DataExtensionDiffers(place, "It isn't there", "Make it with `bounce-sync setup`.")
        self._refuse(wanted, _differences(there, wanted.fields, _holds))

    def _refuse(self, wanted: DataExtension, wrong: Sequence[str]) -> None:
        if wrong:
            raise DataExtensionDiffers(
                Place(f"data extension {wanted.key}", self._unit),
                "Its columns aren't as they were set up: " + "; ".join(wrong),
            )

    def _create(self, wanted: DataExtension) -> None:
        text = soap.named_text
        sends = []
        if wanted.sendable_by:
            # Created as "Subscriber Key", given back as "_SubscriberKey" (facts §6).
            by, to = text(Name=wanted.sendable_by, FieldType="Text"), text(Name="Subscriber Key")
            sends = [
                *text(IsSendable="true"),
                soap.element("SendableDataExtensionField", *by),
                soap.element("SendableSubscriberField", *to),
            ]
        fields = [
            soap.element(
                "Field",
                *text(CustomerKey=each.name, Name=each.name, FieldType=each.kind),
                *(text(MaxLength=str(each.length)) if each.length else []),
                *text(IsRequired=_boolean(each.is_key), IsPrimaryKey=_boolean(each.is_key)),
            )
            for each in wanted.fields
        ]
        made = soap.typed(
            "Objects",
            "DataExtension",
            *text(CustomerKey=wanted.key, Name=wanted.key, Description=wanted.description),
            *sends,
            soap.element("Fields", *fields),
        )
        place = Place(f"Create data extension {wanted.key}", self._unit)
        body = soap.element("CreateRequest", soap.element("Options"), made)
        self._connection.act("Create", body, "CreateResponse", place)

    def clear(self, key: str) -> None:
        """Delete all rows."""
        place = Place(f"Perform ClearData on data extension {key}", self._unit)
        which = soap.typed("Definition", "DataExtension", *soap.named_text(CustomerKey=key))
        body = soap.element(
            "PerformRequestMsg",
            *soap.named_text(Action="ClearData"),
            soap.element("Definitions", which),
        )
        self._connection.act("Perform", body, "PerformResponseMsg", place)

    # --- filled --------------------------------------------------------------------------------

    def upsert(self, key: str, rows: Sequence[Mapping[str, str]]) -> None:
        """Write rows by primary key and wait until they are in.

        Raises `WriteFailed` if the service says that a row couldn't be written, or doesn't finish.
        """
        path = f"data/v1/async/dataextensions/key:{quote(key, safe='')}/rows"
        place = Place(f"PUT rows of data extension {key}", self._unit)
        requests = []
        for items in _batches(rows):
            told = self._connection.rest("PUT", path, place, payload={"items": items})
            request = told.get("requestId") if isinstance(told, dict) else None
            if not request:
                raise UnreadableAnswer(place, "The write was taken without a requestId")
            requests.append(str(request))
        for request in requests:
            self._wait_for(request, place)

    def _wait_for(self, request: str, place: Place) -> None:
        until = self._clock() + self._longest_wait
        pause = 0.1
        while True:
            told = self._connection.rest("GET", f"data/v1/async/{request}/status", place)
            status = told.get("status") if isinstance(told, dict) else None
            if not isinstance(status, dict) or "requestStatus" not in status:
                raise UnreadableAnswer(place, "The status of the write has no requestStatus")
            if status.get("hasErrors") or status["requestStatus"] == "Error":
                raise WriteFailed(place, self._first_error(request, place))
            if status["requestStatus"] == "Complete":
                return
            if self._clock() >= until:
                raise WriteFailed(place, f"Not finished after {self._longest_wait:g} seconds")
            self._sleep(pause)
            pause = min(pause * 1.6, 10.0)

    def _first_error(self, request: str, place: Place) -> str:
        told = self._connection.rest("GET", f"data/v1/async/{request}/results", place, absent=True)
        items = told.get("items") if isinstance(told, dict) else None
        messages = [str(each.get("message")) for each in items or [] if each.get("message")]
        return messages[0] if messages else "The service reports an error without a message"

    # --- read ----------------------------------------------------------------------------------

    def page(self, key: str, number: int, size: int = PAGE) -> RowsetPage:
        """One page of rows (the first is 1)."""
        place = Place(f"GET rowset of data extension {key}", self._unit).on(number)
        told = self._connection.rest(
            "GET",
            f"data/v1/customobjectdata/key/{quote(key, safe='')}/rowset",
            place,
            params={"$page": str(number), "$pageSize": str(size)},
        )
        return read_rowset(told, place)

    def count(self, key: str) -> int:
        """How many rows it has now."""
        return self.page(key, 1, size=1).count

    def pages(self, key: str, first: RowsetPage) -> Iterator[tuple[RowsetPage, Place]]:
        """All pages, `first` (already read) and the others, several at once.

        Raises `UnreadableAnswer` if the pages don't add up to the count, or the count changes.
        """
        place = Place(f"GET rowset of data extension {key}", self._unit)
        yield first, place.on(1)
        seen = first.rows
        numbers = range(2, -(-first.count // PAGE) + 1)
        with ThreadPoolExecutor(self._pages_in_flight) as pool:
            pages = pool.map(lambda number: self.page(key, number), numbers)
            for number, page in zip(numbers, pages, strict=True):
                if page.count != first.count:
                    raise UnreadableAnswer(
                        place.on(number),
                        f"The count changed from {first.count} to {page.count} while reading",
                    )
                seen += page.rows
                yield page, place.on(number)
        if seen != first.count:
            raise UnreadableAnswer(place, f"{first.count} rows were announced and {seen} came")


def read_rowset(told: Any, place: Place) -> RowsetPage:
    """A rowset's page as columns. An empty data extension has no ``items`` at all."""
    if not isinstance(told, dict) or not isinstance(told.get("count"), int):
        raise UnreadableAnswer(place, "The rowset has no count")
    items = told.get("items", [])
    try:
        rows = [
            {**item["keys"], **item["values"]} if item["keys"] else item["values"] for item in items
        ]
        names = list(rows[0]) if rows else []
        columns = {name: [row[name] for row in rows] for name in names}
        if not all(_TEXTS.issuperset(map(type, values)) for values in columns.values()):
            raise TypeError("a value that is no text")
    except (KeyError, TypeError) as error:
        raise UnreadableAnswer(
            place, f"The rowset's items aren't as documented ({error})"
        ) from None
    return RowsetPage(told["count"], len(items), columns)


def _boolean(value: bool) -> str:
    return str(value).lower()


def _differences(
    there: Iterable[Field], wanted: Iterable[Field], agree: Callable[[Field, Field], bool]
) -> list[str]:
    known = {each.name.casefold(): each for each in there}
    found = [(each, known.get(each.name.casefold())) for each in wanted]
    return [
        f"{each} is {other or 'missing'}"
        for each, other in found
        if other is None or not agree(other, each)
    ]


def _same(there: Field, wanted: Field) -> bool:
    return (there.kind, there.length, there.is_key) == (wanted.kind, wanted.length, wanted.is_key)


def _holds(there: Field, wanted: Field) -> bool:
    """Text needs the room, and one without a length has it; a text may stand in a Date, which SFMC
    reads."""
    room = there.kind != "Text" or not there.length or there.length >= (wanted.length or 0)
    return room and there.is_key == wanted.is_key


def _batches(rows: Sequence[Mapping[str, str]]) -> Iterator[list[Mapping[str, str]]]:
    """Rows in order, in batches that one write takes."""
    batch: list[Mapping[str, str]] = []
    size = 0
    for row in rows:
        weight = sum(len(name) + len(value.encode()) + 6 for name, value in row.items())
        if batch and (len(batch) >= ROWS_A_WRITE or size + weight > BYTES_A_WRITE):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += weight
    if batch:
        yield batch
