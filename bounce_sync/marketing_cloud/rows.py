"""Rows as they come from SFMC, made into the tables' columns: strictly, whatever the source.

Every source ends here, so that one tenant read by any of them gives the same cells. What can't be
read is an error that names the row, never a bad or a missing row. Columns are Arrow arrays: they
are checked and converted a page at a time, without a Python object per cell.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bounce_sync.marketing_cloud.errors import Place, UnreadableAnswer
from bounce_sync.marketing_cloud.soap import EDGE, ILLEGAL_IN_XML, LOST
from bounce_sync.rules.server_time import Window
from bounce_sync.tables import (
    BOUNCE_CATEGORIES,
    HELD,
    KEY_LENGTH,
    STATUSES,
    UNKNOWN_BOUNCE,
    HeldSubscribers,
    RawBounces,
    Table,
    shape,
)

Column: TypeAlias = Sequence[str | None] | pa.Array

UTC_TIME = pa.timestamp("us", "UTC")
REPEATED = "equal_rows_dropped"
_ALIASES = {
    "technical or other bounce": "Technical/Other bounce",
    "technical bounce": "Technical/Other bounce",
    "technical / other bounce": "Technical/Other bounce",
    "other bounce": "Technical/Other bounce",
}
_CATEGORIES = {category.casefold(): category for category in BOUNCE_CATEGORIES} | _ALIASES
_STATUSES = {status.casefold(): status for status in STATUSES}
BOUNCES = pa.schema(
    [
        ("business_unit", pa.string()),
        ("subscriber_key", pa.string()),
        ("event_at", UTC_TIME),
        ("bounce_category", pa.string()),
        ("bounce_subcategory", pa.string()),
        ("smtp_code", pa.string()),
        ("smtp_reason", pa.string()),
        ("domain", pa.string()),
        ("email_address", pa.string()),
        ("job_id", pa.int64()),
    ]
)
_SUBSCRIBERS = pa.schema(
    [("subscriber_key", pa.string()), ("email_address", pa.string()), ("status", pa.string())]
)
HELD_SINCE = pa.schema([("subscriber_key", pa.string()), ("held_at", UTC_TIME)])
_SERVER_TIME = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,7})?$"
_PRINTED_TIME = (
    r"(?i)^(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4}) (?P<hour>1[0-2]|0?[1-9])"
    r"(?P<rest>:\d\d:\d\d(?:\.\d{1,7})?) (?P<half>[AP]M)$"
)
_UNCLEAN = f"\r|{ILLEGAL_IN_XML}|{LOST}"


def text(values: Column) -> pa.Array:
    """A column of text; an empty text is a missing one."""
    column = values if isinstance(values, pa.Array) else _strings(values)
    empty = pc.equal(column, "")
    return pc.if_else(empty, None, column) if pc.any(empty).as_py() else column


def _strings(values: Sequence[str | None]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:  # half of a character, where LEFT cut the other half off
        return pa.array([each and _whole_characters(each) for each in values], pa.string())


def _whole_characters(value: str) -> str:
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def prose(values: Column) -> pa.Array:
    """A reason as the server said it: line breaks as LF, without what XML can't carry.

    SOAP loses such characters, and all sources give the same.
    """
    column = text(values)
    if pc.all(pc.ascii_is_printable(column)).as_py():  # most pages, told in a tenth of the time
        return column
    if pc.any(pc.match_substring_regex(column, _UNCLEAN)).as_py():
        column = pc.replace_substring_regex(column, "\r\n?", "\n")
        column = pc.replace_substring_regex(column, f"{ILLEGAL_IN_XML}|{LOST}", "")
    return column


def required(name: str, values: Column, place: Place) -> pa.Array:
    """A column of text of which none is missing."""
    column = text(values)
    demand(pc.is_valid(column), place, f"{name} is empty")
    return column


def keys(name: str, values: Column, place: Place) -> pa.Array:
    """Subscriber keys, as SFMC spells them."""
    column = required(name, values, place)
    demand(
        pc.less_equal(pc.utf8_length(column), KEY_LENGTH),
        place,
        f"{name} is longer than {KEY_LENGTH} characters",
    )
    demand(
        pc.invert(pc.match_substring(column, LOST)),
        place,
        f"{name} holds a character that XML can't carry",
    )
    return column


def one_of(name: str, values: Column, known: Mapping[str, str], place: Place) -> pa.Array:
    """A column of few values, each in the list (compared case-folded), in the list's spelling."""
    encoded = required(name, values, place).dictionary_encode()
    spelled = [known.get(value.strip().casefold()) for value in encoded.dictionary.to_pylist()]
    found = pa.array(spelled, pa.string()).take(encoded.indices)
    demand(pc.is_valid(found), place, f"{name} isn't one that SFMC documents")
    return found


def categories(values: Column, place: Place) -> pa.Array:
    """``BounceCategory``; an empty one is an unknown bounce."""
    filled = pc.fill_null(text(values), UNKNOWN_BOUNCE)
    return one_of("BounceCategory", filled, _CATEGORIES, place)


def statuses(values: Column, place: Place) -> pa.Array:
    """``Status``, in the spelling of SOAP."""
    return one_of("Status", values, _STATUSES, place)


def whole_numbers(name: str, values: Column, place: Place) -> pa.Array:
    """Integers, missing where empty."""
    column = text(values)
    legal = pc.match_substring_regex(column, r"^-?\d{1,18}$")
    demand(pc.fill_null(legal, True), place, f"{name} is no whole number")
    return column.cast(pa.int64())


def server_times(name: str, values: Column, offset: timedelta, place: Place) -> pa.Array:
    """Server times (``2026-01-15T03:04:05.29``, no zone) as UTC, missing where empty."""
    column = text(values)
    readable = pc.match_substring_regex(column, _SERVER_TIME)
    demand(pc.fill_null(readable, True), place, f"{name} isn't a date and time without a zone")
    column = pc.utf8_slice_codeunits(column, 0, 26)
    try:
        local = column.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        for row, value in enumerate(column.to_pylist(), 1):
            if value is not None and not _is_time(value):
                raise UnreadableAnswer(place.at(row), f"{name} is no possible date") from None
        raise
    return in_utc(local, offset)


def printed_times(name: str, values: Column, offset: timedelta, place: Place) -> pa.Array:
    """As `server_times`, and as SFMC prints times in files: ``6/15/2026 3:04:05 PM``."""
    column = text(values)
    found = pc.extract_regex(column, _PRINTED_TIME)
    if found.null_count == len(found):
        return server_times(name, column, offset, place)
    month, day, year, hour, rest, half = (pc.struct_field(found, n) for n in range(6))
    noon = pc.if_else(pc.equal(pc.utf8_lower(half), "pm"), 12, 0)
    twelve = pc.if_else(pc.equal(hour, "12"), 0, hour.cast(pa.int64()))
    padded = [
        pc.utf8_lpad(each, 2, "0") for each in (month, day, pc.add(twelve, noon).cast(pa.string()))
    ]
    date = pc.binary_join_element_wise(year, *padded[:2], "-")
    iso = pc.binary_join_element_wise(date, pc.binary_join_element_wise(padded[2], rest, ""), "T")
    return server_times(name, pc.coalesce(iso, column), offset, place)


def in_utc(local: pa.Array, offset: timedelta) -> pa.Array:
    """Times of the server's clock (no zone) as UTC."""
    return pc.subtract(local.cast(pa.timestamp("us")), pa.scalar(offset)).cast(UTC_TIME)


def _is_time(value: str) -> bool:
    try:
        pa.scalar(value).cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        return False
    return True


def demand(holds: pa.Array, place: Place, wrong: str) -> None:
    """Raise `UnreadableAnswer` for the first row for which it doesn't hold."""
    if pc.all(holds, min_count=0).as_py():
        return
    row = pc.index(holds, False).as_py()
    raise UnreadableAnswer(place.at(row + 1), wrong)


# --- tables ------------------------------------------------------------------------------------


def bounces(columns: Mapping[str, pa.Array]) -> pa.Table:
    """Columns of `RawBounces`, those that a source has, as a table; the others are empty."""
    size = len(columns["event_at"])
    values = [columns.get(each.name, pa.nulls(size, each.type)) for each in BOUNCES]
    return pa.table(values, schema=BOUNCES)


def cut(name: str, table: pa.Table, times: pa.Array, window: Window, place: Place) -> pa.Table:
    """The rows whose time lies in the window, exactly; `times` are the rows', `name` their column.

    Rows up to `EDGE` outside belong to the neighbouring window, which asks for them as well. Raises
    `UnreadableAnswer` for a row further out, or without a time.
    """
    demand(pc.is_valid(times), place, f"{name} is empty")
    bounds = (window.start - EDGE, window.start, window.end, window.end + EDGE)
    widest_start, start, end, widest_end = (pa.scalar(each, UTC_TIME) for each in bounds)
    near = pc.and_(pc.greater_equal(times, widest_start), pc.less_equal(times, widest_end))
    demand(near, place, "The row lies outside of the window that was asked for")
    within = pc.and_(pc.greater_equal(times, start), pc.less(times, end))
    return table if pc.all(within, min_count=0).as_py() else table.filter(within)


def only_held(subscribers: pa.Table) -> pa.Table:
    """The subscribers whose status is Held."""
    return subscribers.filter(pc.equal(subscribers["status"], HELD))


def finish_bounces(tables: Iterable[pa.Table]) -> pd.DataFrame:
    """All windows' rows as one `RawBounces` frame, in order of time, each event once.

    Rows equal in every column are one event; ``attrs[REPEATED]`` says how many were dropped.
    """
    whole = pa.concat_tables([BOUNCES.empty_table(), *tables])
    order = ("event_at", "business_unit", "subscriber_key", "job_id", "bounce_category")
    once = _each_once(whole, order)
    frame = to_frame(RawBounces, once)
    frame.attrs[REPEATED] = len(whole) - len(once)
    return frame


def _each_once(table: pa.Table, order: Sequence[str]) -> pa.Table:
    """The rows in this order, then by the other columns; one of those that are equal in all."""
    order = (*order, *(name for name in table.column_names if name not in order))
    ordered = table.sort_by([(name, "ascending") for name in order])
    repeats = _repeats(ordered)
    return ordered.filter(pc.invert(repeats)) if pc.any(repeats).as_py() else ordered


def _repeats(table: pa.Table) -> pa.ChunkedArray:
    """Whether each row equals the one before it; a missing value equals a missing one."""
    first = pa.chunked_array([[False] if len(table) else []], pa.bool_())
    if len(table) < 2:
        return first
    same = functools.reduce(pc.and_, map(_equals_previous, table.columns))
    return pa.chunked_array([*first.chunks, *same.chunks])


def _equals_previous(column: pa.ChunkedArray) -> pa.ChunkedArray:
    later, earlier = column.slice(1), column.slice(0, len(column) - 1)
    both_missing = pc.and_(pc.is_null(later), pc.is_null(earlier))
    return pc.or_(pc.fill_null(pc.equal(later, earlier), False), both_missing)


def finish_held(
    tables: Iterable[pa.Table], since: pa.Table, read_at: datetime, place: Place
) -> pd.DataFrame:
    """All pages' subscribers as one `HeldSubscribers` frame, each key once, in order of key.

    `tables` have (subscriber_key, email_address, status); `since` has (subscriber_key, held_at),
    possibly several a key: the newest stands. Raises `UnreadableAnswer` if one key came with two
    addresses.
    """
    whole = pa.concat_tables([_SUBSCRIBERS.empty_table(), *tables]).drop_columns("status")
    once = _each_once(whole, ("subscriber_key",))
    if pc.any(_repeats(once.select(["subscriber_key"]))).as_py():
        raise UnreadableAnswer(place, "One subscriber came twice, with different values")
    newest = since.group_by("subscriber_key", use_threads=False).aggregate([("held_at", "max")])
    at = pc.index_in(once["subscriber_key"], newest["subscriber_key"].combine_chunks())
    once = once.append_column("held_at", newest["held_at_max"].take(at))
    once = once.append_column("read_at", pa.repeat(pa.scalar(read_at, UTC_TIME), len(once)))
    return to_frame(HeldSubscribers, once)


def to_frame(model: type[Table], table: pa.Table) -> pd.DataFrame:
    """The table as a frame of the model, without a Python object per cell."""
    return shape(model, table.to_pandas(types_mapper=_pandas_types, split_blocks=True))


_TEXT = pd.StringDtype("pyarrow", na_value=float("nan"))


def _pandas_types(kind: pa.DataType) -> Any:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _TEXT
    return pd.Int64Dtype() if pa.types.is_integer(kind) else None
