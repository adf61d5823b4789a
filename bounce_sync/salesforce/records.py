"""Records as the CRM gives them → `CrmRecords`, taken literally or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pandas as pd

from bounce_sync.salesforce.describe import NUMBERS, ObjectFields
from bounce_sync.salesforce.errors import UnreadableAnswer
from bounce_sync.tables import ACCOUNT, CONTACT, CrmRecords, empty, shape

PREFIXES = {"Contact": "003", "Lead": "00Q", "Account": "001"}
"""Of ids, the same in every org (facts/salesforce.md §6)."""

_BOOLEANS = ("flag", "is_deleted", "is_converted")
_TEXTS = ("email", "account_id", "master_record_id", "converted_contact_id")
_DATETIME = "%Y-%m-%dT%H:%M:%S.%f%z"
_DAY = "%Y-%m-%d"


def to_frame(
    records: Sequence[Mapping[str, Any]], fields: ObjectFields, *, date_is_day: bool, what: str
) -> pd.DataFrame:
    """A `CrmRecords` frame of one object's records; `what` names their request.

    Raises ``UnreadableAnswer`` for a record that lacks a field that was asked for, that is another
    object's, or that holds a value of another type, and says which record it was.
    """
    if not records:
        return empty(CrmRecords)
    for number, record in enumerate(records):
        _check(record, fields, what, number)
    columns: dict[str, Any] = {
        column: [record[name] for record in records] for column, name in fields.names.items()
    }
    columns["object"] = fields.object
    columns.setdefault("is_converted", False)
    if fields.object == ACCOUNT:
        # It shows its Contact's own values and is read as what leads there, not as a second record.
        columns["is_converted"] = [
            contact is not None for contact in columns["converted_contact_id"]
        ]
        columns["flag"], columns["flag_date"] = False, [None] * len(records)
    columns["flag_date"] = _times(columns["flag_date"], date_is_day, what, columns["record_id"])
    columns["match_value"] = _keys(columns["match_value"], fields.match_type in NUMBERS)
    if fields.object == CONTACT:
        is_person = [
            bool(fields.person_field and record[fields.person_field]) for record in records
        ]
        columns["person_account_id"] = [
            account if person else None
            for account, person in zip(columns["account_id"], is_person, strict=True)
        ]
    frame = shape(CrmRecords, pd.DataFrame(columns))
    return frame.drop_duplicates("record_id").reset_index(drop=True)


def _check(record: Mapping[str, Any], fields: ObjectFields, what: str, number: int) -> None:
    """A record's shape, before its values are put into columns."""
    at = f"{what}, record {number + 1}"
    if lacking := [name for name in fields.selected if name not in record]:
        raise UnreadableAnswer(at, f"{', '.join(lacking)} was asked for and isn't there.")
    record_id = record["Id"]
    prefix = PREFIXES[fields.object]
    if not (isinstance(record_id, str) and len(record_id) == 18 and record_id.startswith(prefix)):
        raise UnreadableAnswer(at, f"its Id isn't an 18-character id of {fields.object}.")
    for column in _BOOLEANS:
        name = fields.names.get(column)
        if name and not isinstance(record[name], bool):
            raise UnreadableAnswer(f"{at} ({record_id})", f"{name} is neither true nor false.")
    for column in _TEXTS:
        name = fields.names.get(column)
        if name and not isinstance(record[name], str | None):
            raise UnreadableAnswer(f"{at} ({record_id})", f"{name} isn't text.")


def _times(values: Sequence[Any], is_day: bool, what: str, ids: Sequence[str]) -> pd.Series:
    """The date field in UTC; a day as its midnight. Salesforce writes the offset as ``+0000``."""
    layout = _DAY if is_day else _DATETIME
    try:
        return pd.to_datetime(pd.Series(values, dtype="str"), format=layout, utc=True)
    except ValueError as error:
        odd = next(
            (each for each, value in zip(ids, values, strict=True) if _odd(value, layout)), ""
        )
        raise UnreadableAnswer(f"{what}, record {odd}", "its date can't be read.") from error


def _odd(value: Any, layout: str) -> bool:
    return value is not None and pd.isna(
        pd.to_datetime(str(value), format=layout, utc=True, errors="coerce")
    )


def _keys(values: Sequence[Any], are_numbers: bool) -> list[str | None]:
    """A match field's values as a subscriber key would spell them: 4711, not 4711.0."""
    given = [None if value is None or value == "" else value for value in values]
    if are_numbers:
        return [
            None if value is None else f"{Decimal(str(value)).normalize():f}" for value in given
        ]
    return [None if value is None else str(value) for value in given]
