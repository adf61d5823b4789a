"""The CSV of Bulk jobs: what is uploaded, and what results look like."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bounce_sync.sandbox.salesforce import values
from bounce_sync.sandbox.salesforce.bodies import stored
from bounce_sync.sandbox.salesforce.errors import RowError

if TYPE_CHECKING:
    from bounce_sync.sandbox.salesforce.bulk.jobs import Job
    from bounce_sync.sandbox.salesforce.entities import Entity, Field

NULL = "#N/A"
LONGEST_HEADER = 32_000
_TRUE = frozenset({"true", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "no", "n", "off", "0"})

csv.field_size_limit(1 << 25)


class BadUpload(Exception):
    """An upload that fails its whole job; the text is the job's ``errorMessage``."""


def rows_of(job: Job, content: bytes) -> tuple[list[str], Iterator[list[str]]]:
    """Header and rows of an upload.

    Raises:
        BadUpload: it isn't UTF-8, has no header, or other line endings than the job says.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadUpload("InvalidBatch : Failed to parse CSV. The data isn't UTF-8") from None
    first = text.split("\n", 1)[0]
    if not first.strip():
        raise BadUpload("InvalidBatch : Failed to parse CSV header: there is none")
    if len(first) > LONGEST_HEADER:
        raise BadUpload(f"InvalidBatch : CSV header is longer than {LONGEST_HEADER} characters")
    setting = job.settings["lineEnding"]
    if first.endswith("\r") != (setting == "CRLF") and "\n" in text:
        raise BadUpload(
            "ClientInputError : LineEnding is invalid on user data. "
            f"Current LineEnding setting is {setting}"
        )
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=job.delimiter, strict=True)
    return next(reader), _whole(reader)


def _whole(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from (row for row in reader if row)
    except csv.Error as error:
        raise BadUpload(f"InvalidBatch : Failed to parse CSV. {error}") from None


def columns_of(entity: Entity, header: Sequence[str]) -> list[Field]:
    """The fields of an upload's columns.

    Raises:
        BadUpload: one doesn't exist or is hidden, or stands there twice.
    """
    found: list[Field] = []
    for name in header:
        field = entity.field(name)
        if field is None:
            raise BadUpload(f"InvalidBatch : Field name not found : {name}")
        if field in found:
            raise BadUpload(f"InvalidBatch : Field name repeated : {name}")
        found.append(field)
    return found


def cells(columns: Sequence[Field], row: Sequence[str]) -> dict[str, Any] | RowError:
    """What a row wants: an empty cell nothing, ``#N/A`` no value (facts/salesforce.md §3.1)."""
    if len(row) != len(columns):
        return RowError("INVALID_CSV", f"the row has {len(row)} cells, the header {len(columns)}")
    wanted: dict[str, Any] = {}
    for field, cell in zip(columns, row, strict=True):
        if cell == "" or field.type == "id":
            continue
        try:
            wanted[field.name] = stored(field, _cell(field, cell))
        except values.BadValue as bad:
            code = "INVALID_TYPE_ON_FIELD_IN_RECORD"
            mistyped = bad.error.code == "JSON_PARSER_ERROR"
            return RowError(code, bad.error.message, (field.name,)) if mistyped else bad.error
    return wanted


def _cell(field: Field, cell: str) -> Any:
    if cell == NULL:
        return None
    if field.type == "boolean":
        lowered = cell.lower()
        return True if lowered in _TRUE else False if lowered in _FALSE else cell
    return cell


def rendered(job: Job, rows: Iterable[Sequence[str]]) -> str:
    """Rows as CSV, all quoted."""
    out = io.StringIO(newline="")
    csv.writer(
        out, delimiter=job.delimiter, lineterminator=job.line_ending, quoting=csv.QUOTE_ALL
    ).writerows(rows)
    return out.getvalue()
