"""Changing the org's set-up: custom fields and permission sets, however they were asked for.

A field made here is hidden from everybody until field-level security grants it
(facts/salesforce.md §9).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bounce_sync.sandbox.salesforce.entities import CRM_OBJECTS
from bounce_sync.sandbox.salesforce.errors import RowError
from bounce_sync.sandbox.salesforce.ids import new_id
from bounce_sync.sandbox.store import crm_time, quoted

if TYPE_CHECKING:
    from bounce_sync.sandbox.salesforce.service import Service
    from bounce_sync.sandbox.store import Store

TYPES = {
    "Checkbox": "boolean",
    "DateTime": "datetime",
    "Date": "date",
    "Text": "string",
    "TextArea": "textarea",
    "LongTextArea": "textarea",
    "Email": "email",
    "Phone": "phone",
    "Url": "url",
    "Number": "double",
    "Currency": "currency",
    "Percent": "percent",
    "Picklist": "picklist",
}
"""Metadata's field types → describe's."""

_NAME = re.compile(r"(?:[A-Za-z]\w*__)?[A-Za-z]\w*__c", re.ASCII)
_LABELS = {kind: name for name, kind in reversed(TYPES.items())}


def denied(service: Service) -> RowError | None:
    """Why the user may not change the set-up, if so."""
    for permission in ("ModifyMetadata", "CustomizeApplication"):
        if service.lacks(permission):
            return RowError(
                "INSUFFICIENT_ACCESS",
                f"use of the Metadata API requires a user with the {permission} permission",
            )
    return None


def make_field(service: Service, full_name: str, metadata: Mapping[str, Any]) -> str | RowError:
    """Makes ``Contact.Hard_Bounce__c`` from its metadata; gives its id or why not."""
    object_name, _, name = full_name.partition(".")
    if error := denied(service) or _unfit(service.store, object_name, name, metadata):
        return error
    kind = TYPES[str(metadata["type"])]
    default = 255 if kind in ("picklist", "textarea", "url") else 80 if kind == "email" else 0
    with service.writing, service.store.transaction():
        service.store.add_field(
            _canonical_object(service.store, object_name),
            name,
            kind,
            length=int(metadata.get("length") or default),
            label=str(metadata["label"]),
            visible=False,
            external_id=str(metadata.get("externalId", "")).lower() == "true",
        )
    return field_id(service.store, object_name, name)


def _canonical_object(store: Store, name: str) -> str:
    return str(store.fields(name)[0]["object"])


def _unfit(
    store: Store, object_name: str, name: str, metadata: Mapping[str, Any]
) -> RowError | None:
    fields = store.fields(object_name)
    if not fields:
        return RowError(
            "INVALID_CROSS_REFERENCE_KEY",
            f"Entity of type CustomObject named {object_name} cannot be found",
        )
    if not _NAME.fullmatch(name):
        return RowError("INVALID_FULL_NAME", f"The name of a custom field ends in __c: {name}")
    if any(row["name"].lower() == name.lower() for row in fields):
        return RowError(
            "DUPLICATE_DEVELOPER_NAME",
            f"There is already a field named {name.removesuffix('__c')} on {object_name}.",
            ("DeveloperName",),
        )
    kind = str(metadata.get("type"))
    if not metadata.get("label"):
        return RowError("REQUIRED_FIELD_MISSING", "Required field is missing: label", ("label",))
    if kind not in TYPES:
        return RowError("FIELD_INTEGRITY_EXCEPTION", f"Unknown field type: {kind}", ("type",))
    if kind == "Checkbox" and metadata.get("defaultValue") is None:
        return RowError(
            "FIELD_INTEGRITY_EXCEPTION", "Must specify 'defaultValue' for a CheckBox field"
        )
    if kind == "Checkbox" and metadata.get("required") is not None:
        return RowError(
            "FIELD_INTEGRITY_EXCEPTION", "Can not specify 'required' for a CheckBox field"
        )
    length = str(metadata.get("length") or "")
    if (length and not length.isdigit()) or (kind == "Text" and not length):
        return RowError(
            "FIELD_INTEGRITY_EXCEPTION", f"Must specify 'length' as a number for a {kind} field"
        )
    return None


def change_field(service: Service, full_name: str, metadata: Mapping[str, Any]) -> None:
    """Gives an existing field the label of its metadata; its type stays."""
    object_name, _, name = full_name.partition(".")
    if metadata.get("label"):
        service.store.execute(
            "UPDATE field SET label = ? WHERE object = ? AND name = ?",
            (metadata["label"], object_name, name),
        )


def field_id(store: Store, object_name: str, name: str) -> str:
    """The id of a custom field as the Tooling API names it."""
    number_fields(store)
    row = store.execute(
        "SELECT id FROM custom_field WHERE object = ? AND name = ?", (object_name, name)
    ).fetchone()
    return str(row[0])


def number_fields(store: Store) -> None:
    """Gives an id to each custom field that has none yet (those of loaded tenants)."""
    rows = store.execute(
        "SELECT f.object, f.name FROM field f LEFT JOIN custom_field c"
        " ON c.object = f.object AND c.name = f.name WHERE f.custom = 1 AND c.id IS NULL"
    ).fetchall()
    at = crm_time(datetime.now(UTC))
    store.insert(
        "custom_field",
        ("id", "object", "name", "created_at"),
        [(new_id("00N"), *row, at) for row in rows],
    )


def drop_field(service: Service, full_name: str) -> RowError | None:
    """Deletes a custom field and what it held."""
    object_name, _, name = full_name.partition(".")
    if error := denied(service):
        return error
    row = next(
        (
            row
            for row in service.store.fields(object_name)
            if row["custom"] and row["name"].lower() == name.lower()
        ),
        None,
    )
    if row is None:
        return RowError("INVALID_CROSS_REFERENCE_KEY", f"no CustomField named {full_name}")
    with service.writing, service.store.transaction() as connection:
        for index in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? COLLATE NOCASE"
            " AND sql LIKE ?",
            (row["object"], f'%"{row["name"]}"%'),
        ).fetchall():
            connection.execute(f"DROP INDEX {quoted(index[0])}")
        connection.execute(f"ALTER TABLE {quoted(row['object'])} DROP COLUMN {quoted(row['name'])}")
        for table in ("field", "custom_field"):
            connection.execute(
                f"DELETE FROM {table} WHERE object = ? AND name = ?", (row["object"], row["name"])
            )
        connection.execute(
            'DELETE FROM "FieldPermissions" WHERE "Field" = ?', (f"{row['object']}.{row['name']}",)
        )
    return None


def field_metadata(store: Store, full_name: str) -> dict[str, Any] | None:
    """A custom field's metadata, None where there is no such field."""
    object_name, _, name = full_name.partition(".")
    for row in store.fields(object_name):
        if row["name"].lower() == name.lower() and row["custom"]:
            found: dict[str, Any] = {"fullName": f"{row['object']}.{row['name']}"}
            if row["type"] == "boolean":
                found["defaultValue"] = "false"
            if row["external_id"]:
                found["externalId"] = "true"
            found["label"] = row["label"]
            if row["type"] == "string":
                found["length"] = str(row["length"])
            return found | {"type": _LABELS.get(row["type"], "Text")}
    return None


def _no_right_to_grant(service: Service) -> RowError | None:
    if not service.lacks("ManageProfilesPermissionsets"):
        return None
    return RowError(
        "INSUFFICIENT_ACCESS",
        "insufficient access rights: requires the ManageProfilesPermissionsets permission",
    )


def make_permission_set(
    service: Service,
    name: str,
    label: str,
    field_grants: Sequence[Mapping[str, str]],
    object_grants: Sequence[Mapping[str, str]],
) -> str | RowError:
    """Makes or replaces a permission set with its field and object permissions.

    Grants are the elements of its metadata: ``field``, ``readable``, ``editable``; ``object``,
    ``allowRead`` and so on, all as text.
    """
    if error := denied(service) or _no_right_to_grant(service):
        return error
    for grant in field_grants:
        object_name, _, field = grant.get("field", "").partition(".")
        if not any(row["name"] == field for row in service.store.fields(object_name)):
            return RowError(
                "INVALID_CROSS_REFERENCE_KEY",
                f"In field: field - no CustomField named {grant.get('field')} found",
            )
    opened = {grant.get("object") for grant in object_grants if _on(grant, "allowRead")}
    if "Contact" in opened and "Account" not in opened:
        return RowError(
            "FIELD_INTEGRITY_EXCEPTION",
            "Permission Read Contact depends on permission(s): Read Account",
        )
    with service.writing, service.store.transaction() as connection:
        row = connection.execute('SELECT "Id" FROM "PermissionSet" WHERE "Name" = ?', (name,))
        found = row.fetchone()
        parent = str(found[0]) if found else new_id("0PS")
        at = crm_time(datetime.now(UTC))
        if not found:
            service.store.insert(
                "PermissionSet",
                ("Id", "Name", "Label", "IsCustom", "CreatedDate", "LastModifiedDate"),
                [(parent, name, label, 1, at, at)],
            )
        for table in ("FieldPermissions", "ObjectPermissions"):
            connection.execute(f'DELETE FROM "{table}" WHERE "ParentId" = ?', (parent,))
        service.store.insert(
            "FieldPermissions",
            ("Id", "ParentId", "SobjectType", "Field", "PermissionsRead", "PermissionsEdit"),
            [
                (
                    new_id("01k"),
                    parent,
                    grant["field"].split(".")[0],
                    grant["field"],
                    _on(grant, "readable"),
                    _on(grant, "editable"),
                )
                for grant in field_grants
            ],
        )
        rights = ("Create", "Read", "Edit", "Delete")
        reach = ("ViewAllRecords", "ModifyAllRecords")
        service.store.insert(
            "ObjectPermissions",
            (
                *("Id", "ParentId", "SobjectType"),
                *(f"Permissions{right}" for right in (*rights, *reach)),
            ),
            [
                (
                    new_id("110"),
                    parent,
                    grant.get("object"),
                    *(_on(grant, f"allow{right}") for right in rights),
                    *(_on(grant, f"{right[0].lower()}{right[1:]}") for right in reach),
                )
                for grant in object_grants
            ],
        )
    return parent


def _on(grant: Mapping[str, str], name: str) -> int:
    return int(grant.get(name, "").lower() == "true")


def known_objects(store: Store) -> list[str]:
    """Objects whose metadata can be asked for."""
    return [name for name in store.objects() if name in CRM_OBJECTS or name.endswith("__c")]
