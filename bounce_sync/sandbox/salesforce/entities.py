"""What the running user sees of the org's objects: fields, their types and rights.

A field hidden by field-level security isn't there at all (facts/salesforce.md §4). A field made
over an API is hidden from everybody until a permission set that the user has grants it (§9).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from bounce_sync.sandbox import schema
from bounce_sync.sandbox.salesforce import record_access
from bounce_sync.sandbox.salesforce.errors import ServiceError, no_such_type
from bounce_sync.sandbox.salesforce.setup.objects import NEED_VIEW_SETUP, SETUP_PREFIXES
from bounce_sync.sandbox.store import quoted

if TYPE_CHECKING:
    import sqlite3

    from bounce_sync.sandbox.store import Store

PREFIXES = {**schema.KEY_PREFIXES, **SETUP_PREFIXES}
CRM_OBJECTS = ("Contact", "Lead", "Account")
PERSON_ONLY = frozenset(
    {"ispersonaccount", "personcontactid", "personemail", "personhasoptedoutofemail"}
)
"""Fields that exist only where Person Accounts are on (facts/salesforce.md §6)."""

_ON_CONTACT = {"personemail": "Email", "personhasoptedoutofemail": "HasOptedOutOfEmail"}


@dataclass(frozen=True)
class Field:
    """One field. ``on_contact`` names the Contact's field that a Person Account's shows."""

    name: str
    label: str
    type: str
    length: int
    precision: int
    scale: int
    nillable: bool
    createable: bool
    updateable: bool
    custom: bool
    external_id: bool
    reference_to: str | None
    on_contact: str | None = None

    @property
    def sql(self) -> str:
        """Its value, in a statement over its object's table, which is called ``t`` there."""
        if self.on_contact:
            return (
                f'(SELECT c.{quoted(self.on_contact)} FROM "Contact" c '
                'WHERE c."Id" = t."PersonContactId")'
            )
        return f"t.{quoted(self.name)}"

    @property
    def filterable(self) -> bool:
        """Whether WHERE may name it: long text areas may not."""
        return self.type != "textarea" or self.length <= 255


@dataclass(frozen=True)
class Entity:
    """One object as the user sees it; ``fields`` by lower-case name; whether records may be
    edited."""

    name: str
    prefix: str
    fields: dict[str, Field]
    updateable: bool = True

    @cached_property
    def spelt(self) -> dict[str, Field]:
        """The fields but ids, by their names as the service spells them: the quick way."""
        return {one.name: one for one in self.fields.values() if one.type != "id"}

    def field(self, name: str) -> Field | None:
        """A field by its name in any case."""
        return self.fields.get(name.lower())

    def has(self, name: str) -> bool:
        """Whether there is such a field."""
        return name.lower() in self.fields


def entity(store: Store, name: str, user_id: str) -> Entity:
    """An object by its name in any case.

    Raises:
        ServiceError: 404 NOT_FOUND, as a resource of that name answers.
    """
    found = find_entity(store, name, user_id)
    if found is None:
        raise ServiceError(404, "NOT_FOUND", "The requested resource does not exist")
    return found


def typed_entity(store: Store, name: str, user_id: str) -> Entity:
    """An object named in a body.

    Raises:
        ServiceError: 400 INVALID_TYPE.
    """
    found = find_entity(store, name, user_id)
    if found is None:
        raise ServiceError(400, "INVALID_TYPE", no_such_type(name))
    return found


def find_entity(store: Store, name: str, user_id: str) -> Entity | None:
    """An object by its name in any case, or None."""
    if name.lower() == record_access.NAME.lower():
        return _RECORD_ACCESS
    rows = store.fields(name)
    missing = store.setting("missing_permissions", "").split()
    if not rows or f"Read{rows[0]['object']}" in missing:
        return None
    if rows[0]["object"] in NEED_VIEW_SETUP and "ViewSetup" in missing:
        return None
    with_persons = person_accounts(store)
    contact_rows: list[sqlite3.Row] = []
    if with_persons and name.lower() == "account":
        contact_rows = [row for row in store.fields("Contact") if row["custom"]]
    return _built(
        tuple(tuple(row) for row in rows),
        tuple(tuple(row) for row in contact_rows),
        tuple(rows[0].keys()),
        _grants(store, str(rows[0]["object"]), user_id),
        with_persons,
        f"Edit{rows[0]['object']}" not in missing,
    )


def person_accounts(store: Store) -> bool:
    """Whether the org has Person Accounts (setting ``person_accounts``)."""
    return store.setting("person_accounts", "false").lower() in ("1", "true", "on")


def _grants(store: Store, object_name: str, user_id: str) -> frozenset[tuple[str, bool]]:
    """Fields that the user's permission sets open, and whether for writing."""
    if object_name in SETUP_PREFIXES:
        return frozenset()
    objects = ("Account", "Contact") if object_name == "Account" else (object_name,)
    rows = store.execute(
        'SELECT f."Field", max(f."PermissionsEdit") FROM "FieldPermissions" f'
        ' JOIN "PermissionSetAssignment" a ON a."PermissionSetId" = f."ParentId"'
        f' WHERE f."SobjectType" IN ({", ".join("?" * len(objects))})'
        ' AND a."AssigneeId" = ? AND f."PermissionsRead" = 1 GROUP BY f."Field"',
        (*objects, user_id),
    )
    return frozenset((str(field).lower(), bool(edit)) for field, edit in rows)


@lru_cache(maxsize=256)
def _built(
    rows: tuple[tuple[object, ...], ...],
    contact_rows: tuple[tuple[object, ...], ...],
    columns: tuple[str, ...],
    grants: frozenset[tuple[str, bool]],
    with_persons: bool,
    editable: bool,
) -> Entity:
    granted = dict(sorted(grants))
    fields: dict[str, Field] = {}
    name = str(rows[0][columns.index("object")])
    for row in (*rows, *contact_rows):
        raw = dict(zip(columns, row, strict=True))
        path = f"{raw['object']}.{raw['name']}".lower()
        if not raw["visible"] and path not in granted:
            continue
        if not with_persons and str(raw["name"]).lower() in PERSON_ONLY:
            continue
        built = _field(raw, bool(raw["visible"]) or granted.get(path, False), name)
        fields[built.name.lower()] = built
    return Entity(name, PREFIXES.get(name, "a00"), fields, editable)


def _field(raw: dict[str, object], editable: bool, entity_name: str) -> Field:
    name = str(raw["name"])
    on_contact = _ON_CONTACT.get(name.lower()) if entity_name == "Account" else None
    if raw["object"] != entity_name:
        on_contact, name = name, f"{name[:-3]}__pc"
    return Field(
        name=name,
        label=str(raw["label"]),
        type=str(raw["type"]),
        length=int(str(raw["length"])),
        precision=int(str(raw["precision"])),
        scale=int(str(raw["scale"])),
        nillable=bool(raw["nillable"]),
        createable=bool(raw["createable"]),
        updateable=bool(raw["updateable"]) and editable,
        custom=bool(raw["custom"]),
        external_id=bool(raw["external_id"]),
        reference_to=None if raw["reference_to"] is None else str(raw["reference_to"]),
        on_contact=on_contact,
    )


_RECORD_ACCESS = Entity(
    record_access.NAME,
    "000",
    {
        name.lower(): Field(name, name, kind, 18, 0, 0, True, False, False, False, False, None)
        for name, kind in record_access.FIELDS.items()
    },
    updateable=False,
)
