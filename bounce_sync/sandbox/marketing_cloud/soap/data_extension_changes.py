"""Data extensions by SOAP: made, given further fields, deleted (facts/marketing-cloud.md 6)."""

import sqlite3

from lxml import etree

from bounce_sync.sandbox.marketing_cloud import data_extensions
from bounce_sync.sandbox.marketing_cloud.calls import Call
from bounce_sync.sandbox.marketing_cloud.saving import TEXT_LIMIT
from bounce_sync.sandbox.marketing_cloud.soap.errors import Rejected
from bounce_sync.sandbox.marketing_cloud.soap.reading import (
    child,
    children,
    is_true,
    number,
    text,
)
from bounce_sync.sandbox.marketing_cloud.soap.writing import new_id
from bounce_sync.sandbox.store import DataExtensionField, quoted, server_time

FIELD_TYPES = ("Text", "Number", "Date", "Boolean", "EmailAddress", "Phone", "Decimal", "Locale")
KEY_LENGTH = 36


def created(call: Call, given: etree._Element) -> tuple[str, str | None]:
    key = (text(given, "CustomerKey") or "").strip() or new_id()
    name = (text(given, "Name") or "").strip() or key
    if len(key) > KEY_LENGTH:
        raise Rejected(f"The CustomerKey is longer than {KEY_LENGTH} characters.", 310000)
    fields = _fields(given)
    if not fields:
        raise Rejected("A Data Extension needs at least one field.", 310000)
    sendable = text(given, "SendableDataExtensionField", "Name")
    if is_true(text(given, "IsSendable")):
        _check_sendable(given, fields, sendable)
    if data_extensions.find_by_name(call.store, call.mid, name) is not None:
        raise Rejected(f"The Data Extension name '{name}' is already in use.", 310007)
    try:
        object_id = call.store.create_data_extension(
            key,
            fields,
            name=name,
            mid=call.mid,
            description=text(given, "Description"),
            sendable_field=sendable if is_true(text(given, "IsSendable")) else None,
            category_id=number(given, "CategoryID"),
        )
    except sqlite3.IntegrityError as error:
        raise Rejected(
            "Updating an existing Data Extension definition is not allowed when doing an add-only"
            " operation. ",
            310007,
        ) from error
    return "Data Extension created.", object_id


def _check_sendable(
    given: etree._Element, fields: list[DataExtensionField], sendable: str | None
) -> None:
    relation = (text(given, "SendableSubscriberField", "Name") or "").strip()
    if sendable is None or sendable.lower() not in {f.name.lower() for f in fields}:
        raise Rejected("SendableDataExtensionField isn't a field of the Data Extension.", 310000)
    if relation.lower() not in {"subscriber key", "_subscriberkey", "email address"}:
        raise Rejected(f"SendableSubscriberField '{relation}' is not valid.", 310000)


def updated(call: Call, given: etree._Element) -> tuple[str, str | None]:
    """Adds fields; those that are there keep their type."""
    target = data_extensions.find(call.store, call.mid, text(given, "CustomerKey") or "")
    if target is None:
        raise Rejected("Unable to find the Data Extension.", 310007)
    with call.store.transaction() as connection:
        for place, field in enumerate(_fields(given)):
            if target.field(field.name) is not None:
                continue
            if field.is_primary_key or field.is_required:
                raise Rejected("A field that is added must be nullable.", 310000)
            connection.execute(
                "INSERT INTO data_extension_field VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, ?)",
                (
                    target.object_id,
                    len(target.fields) + place,
                    new_id(),
                    field.name,
                    field.field_type,
                    field.max_length,
                    field.scale,
                    field.default_value,
                ),
            )
            connection.execute(
                f"ALTER TABLE {target.rows} ADD COLUMN {quoted(field.name)} TEXT COLLATE NOCASE"
            )
        connection.execute(
            "UPDATE data_extension SET modified_date = ? WHERE object_id = ?",
            (server_time(call.store.now()), target.object_id),
        )
    return "Data Extension updated.", target.object_id


def deleted(call: Call, given: etree._Element) -> tuple[str, str | None]:
    target = data_extensions.find(call.store, call.mid, text(given, "CustomerKey") or "")
    if target is None:
        raise Rejected("Unable to find the Data Extension.", 310007)
    with call.store.transaction() as connection:
        connection.execute(f"DROP TABLE {target.rows}")
        for table in ("data_extension", "data_extension_field", "data_extension_version"):
            connection.execute(f"DELETE FROM {table} WHERE object_id = ?", (target.object_id,))
    return "Data Extension deleted. ", None


def _fields(given: etree._Element) -> list[DataExtensionField]:
    """Raises Rejected."""
    holder = child(given, "Fields")
    found = []
    for each in [] if holder is None else children(holder, "Field"):
        name, kind = (text(each, "Name") or "").strip(), text(each, "FieldType") or "Text"
        length = (text(each, "MaxLength") or "").strip()
        is_key = is_true(text(each, "IsPrimaryKey"))
        if not name or kind not in FIELD_TYPES:
            raise Rejected(f"The field '{name}' of type '{kind}' is not valid.", 310000)
        if is_key and kind == "Date":
            raise Rejected(f"The Date field '{name}' can't be a primary key.", 310000)
        if length and not (length.isdecimal() and 0 < int(length) <= TEXT_LIMIT):
            raise Rejected(f"The MaxLength of the field '{name}' is not valid.", 310000)
        found.append(
            DataExtensionField(
                name,
                kind,
                int(length) if length else 254 if kind == "EmailAddress" else None,
                is_key,
                is_key or is_true(text(each, "IsRequired")),
                text(each, "DefaultValue") or None,
                number(each, "Scale") or None,
            )
        )
    if len({field.name.lower() for field in found}) < len(found):
        raise Rejected("Field names must be unique.", 310000)
    return found
