"""Making and deleting records, of the CRM's objects and of the set-up's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bounce_sync.sandbox.salesforce import values
from bounce_sync.sandbox.salesforce.bodies import REQUEST_STOPPERS, stored
from bounce_sync.sandbox.salesforce.entities import CRM_OBJECTS, Entity
from bounce_sync.sandbox.salesforce.errors import (
    RowError,
    ServiceError,
    no_such_column_on_sobject,
)
from bounce_sync.sandbox.salesforce.ids import new_id
from bounce_sync.sandbox.salesforce.obstacles import DELETED, MISSING, read_only
from bounce_sync.sandbox.salesforce.records import Manner, identify
from bounce_sync.sandbox.salesforce.rules import assignee
from bounce_sync.sandbox.store import crm_time, quoted

if TYPE_CHECKING:
    from bounce_sync.sandbox.salesforce.service import Service

_REQUIRED = {
    "Contact": ("LastName",),
    "Lead": ("LastName", "Company"),
    "Account": ("Name",),
    "PermissionSet": ("Name", "Label"),
    "PermissionSetAssignment": ("AssigneeId", "PermissionSetId"),
    "FieldPermissions": ("ParentId", "SobjectType", "Field"),
    "ObjectPermissions": ("ParentId", "SobjectType"),
}
_UNIQUE = {
    "PermissionSet": ("Name",),
    "PermissionSetAssignment": ("AssigneeId", "PermissionSetId"),
    "FieldPermissions": ("ParentId", "Field"),
    "ObjectPermissions": ("ParentId", "SobjectType"),
}
_NEEDS = {
    "PermissionSet": "ManageProfilesPermissionsets",
    "FieldPermissions": "ManageProfilesPermissionsets",
    "ObjectPermissions": "ManageProfilesPermissionsets",
    "PermissionSetAssignment": "AssignPermissionSets",
    "ValidationRule": "CustomizeApplication",
    "AssignmentRule": "CustomizeApplication",
}
"""User permission without which an object of the set-up can't be written."""

NO_ACCESS = RowError(
    "INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on cross-reference id"
)


def create(
    service: Service, entity: Entity, record: Mapping[str, Any], manner: Manner
) -> str | RowError:
    """Makes one record; gives its id, or why it wasn't made.

    Raises:
        ServiceError: 400 for a field that doesn't exist or a value of a wrong type.
    """
    wanted: dict[str, Any] = {}
    for name, value in record.items():
        if name == "attributes":
            continue
        field = entity.field(name)
        if field is None:
            raise no_such_column_on_sobject(name, entity.name)
        try:
            wanted[field.name] = stored(field, value)
        except values.BadValue as bad:
            if bad.error.code in REQUEST_STOPPERS and manner.api != "bulk":
                raise ServiceError(400, bad.error.code, bad.error.message) from None
            return bad.error
    if refused := _refused(service, entity, wanted):
        return refused
    return _inserted(service, entity, wanted, manner)


def _refused(service: Service, entity: Entity, wanted: dict[str, Any]) -> RowError | None:
    if service.lacks(_NEEDS.get(entity.name, "-")):
        return NO_ACCESS
    fixed = [name for name in wanted if not entity.fields[name.lower()].createable]
    if fixed:
        return read_only(fixed)
    missing = [name for name in _REQUIRED.get(entity.name, ()) if wanted.get(name) is None]
    if missing:
        return RowError(
            "REQUIRED_FIELD_MISSING",
            f"Required fields are missing: [{', '.join(missing)}]",
            tuple(missing),
        )
    if entity.name == "FieldPermissions" and not _grantable(service, wanted):
        return RowError(
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            f"Field Name: bad value for restricted picklist field: {wanted['Field']}",
            ("Field",),
        )
    return _repeated(service, entity, wanted)


def _grantable(service: Service, wanted: dict[str, Any]) -> bool:
    object_name, _, name = str(wanted["Field"]).partition(".")
    return object_name == wanted["SobjectType"] and any(
        row["name"] == name for row in service.store.fields(object_name)
    )


def _repeated(service: Service, entity: Entity, wanted: dict[str, Any]) -> RowError | None:
    names = _UNIQUE.get(entity.name)
    if names is None:
        return None
    where = " AND ".join(f"{quoted(name)} = ?" for name in names)
    row = service.store.execute(
        f'SELECT "Id" FROM {quoted(entity.name)} WHERE {where}', [wanted[name] for name in names]
    ).fetchone()
    if row is None:
        return None
    return RowError(
        "DUPLICATE_VALUE",
        f"duplicate value found: {', '.join(names)} duplicates value on record with id: {row[0]}",
        names,
    )


def _inserted(service: Service, entity: Entity, wanted: dict[str, Any], manner: Manner) -> str:
    record_id = new_id(entity.prefix)
    at = crm_time(datetime.now(UTC))
    row = {"Id": record_id, **wanted}
    if entity.name in ("Contact", "Lead"):
        row["Name"] = " ".join(filter(None, (wanted.get("FirstName"), wanted.get("LastName"))))
    if entity.name in CRM_OBJECTS:
        row |= {"OwnerId": wanted.get("OwnerId") or manner.user_id}
        row |= {"CreatedById": manner.user_id, "LastModifiedById": manner.user_id}
        if entity.name == "Lead" and manner.assigns:
            row["OwnerId"] = assignee(service, manner.assigns) or row["OwnerId"]
    row |= dict.fromkeys(("CreatedDate", "LastModifiedDate", "SystemModstamp"), at)
    with service.writing, service.store.transaction() as connection:
        connection.execute(
            f"INSERT INTO {quoted(entity.name)} ({', '.join(map(quoted, row))})"
            f" VALUES ({', '.join('?' * len(row))})",
            list(row.values()),
        )
        connection.executemany(
            "INSERT INTO crm_write (at, object, record_id, field, after, header_auto_assign, api)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (at, entity.name, record_id, name, value, manner.header, manner.api)
                for name, value in wanted.items()
            ],
        )
    return record_id


def delete(service: Service, entity: Entity, given: object, manner: Manner) -> str | RowError:
    """Deletes one record: into the recycle bin where the object has one. Gives its id."""
    found = identify(entity, given)
    if isinstance(found, RowError):
        return found
    if service.lacks(_NEEDS.get(entity.name, "-")):
        return NO_ACCESS
    binned = entity.name in CRM_OBJECTS
    with service.writing, service.store.transaction() as connection:
        row = connection.execute(
            f"SELECT {'t.IsDeleted' if binned else '0'} FROM {quoted(entity.name)} t"
            ' WHERE t."Id" = ?',
            (found,),
        ).fetchone()
        if row is None:
            return MISSING
        if row[0]:
            return DELETED
        at = crm_time(datetime.now(UTC))
        if binned:
            connection.execute(
                f'UPDATE {quoted(entity.name)} SET "IsDeleted" = 1, "LastModifiedDate" = ?,'
                ' "SystemModstamp" = ? WHERE "Id" = ?',
                (at, at, found),
            )
        else:
            connection.execute(f'DELETE FROM {quoted(entity.name)} WHERE "Id" = ?', (found,))
        connection.execute(
            "INSERT INTO crm_write (at, object, record_id, field, before, after, api)"
            " VALUES (?, ?, ?, 'IsDeleted', '0', '1', ?)",
            (at, entity.name, found, manner.api),
        )
    return found
