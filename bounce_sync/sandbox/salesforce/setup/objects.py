"""Objects of the org's set-up that clients query or write, beside the CRM's own.

They are kept like CRM objects, so that SOQL, describe and single records work on them alike.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bounce_sync.sandbox import ids
from bounce_sync.sandbox.salesforce import record_access
from bounce_sync.sandbox.store import crm_time

if TYPE_CHECKING:
    from bounce_sync.sandbox.store import Store

SETUP_PREFIXES = {
    "PermissionSet": "0PS",
    "PermissionSetAssignment": "0Pa",
    "FieldPermissions": "01k",
    "ObjectPermissions": "110",
    "AssignmentRule": "01Q",
    "Profile": "00e",
    "ValidationRule": "03d",
    "FlowDefinitionView": "3dd",
    "ApexTrigger": "01q",
}

_FIELDS = {
    "PermissionSet": "Name:string Label:string Description:textarea IsOwnedByProfile:boolean "
    "ProfileId:reference IsCustom:boolean LicenseId:reference PermissionsApiEnabled:boolean",
    "PermissionSetAssignment": "PermissionSetId:reference AssigneeId:reference IsActive:boolean",
    "FieldPermissions": "ParentId:reference SobjectType:picklist Field:picklist "
    "PermissionsRead:boolean PermissionsEdit:boolean",
    "ObjectPermissions": "ParentId:reference SobjectType:picklist PermissionsCreate:boolean "
    "PermissionsRead:boolean PermissionsEdit:boolean PermissionsDelete:boolean "
    "PermissionsViewAllRecords:boolean PermissionsModifyAllRecords:boolean",
    "AssignmentRule": "Name:string SobjectType:picklist Active:boolean AssignTo:reference",
    "Profile": "Name:string UserType:picklist UserLicenseId:reference",
    "ValidationRule": "ValidationName:string EntityDefinitionId:string Active:boolean "
    "ErrorMessage:string ErrorDisplayField:string Condition:string",
    "FlowDefinitionView": "ApiName:string Label:string ProcessType:picklist TriggerType:picklist "
    "RecordTriggerType:picklist TriggerObjectOrEventId:string TriggerObjectOrEventLabel:string "
    "IsActive:boolean",
    "ApexTrigger": "Name:string TableEnumOrId:picklist Status:picklist UsageAfterUpdate:boolean "
    "UsageBeforeUpdate:boolean",
}
NEED_VIEW_SETUP = frozenset({"FlowDefinitionView", "ApexTrigger", "ValidationRule"})
"""Not there for a user without "View Setup and Configuration"."""

_STAMPS = "CreatedDate:datetime LastModifiedDate:datetime SystemModstamp:datetime"

LAYOUT = (
    "<fullName>{name}</fullName><layoutSections><customLabel>false</customLabel>"
    "<detailHeading>false</detailHeading><editHeading>true</editHeading>"
    "<label>Information</label><layoutColumns><layoutItems><behavior>Required</behavior>"
    "<field>Name</field></layoutItems></layoutColumns><layoutColumns><layoutItems>"
    "<behavior>Edit</behavior><field>Email</field></layoutItems></layoutColumns>"
    "<style>TwoColumnsTopToBottom</style></layoutSections>"
)
"""The page layout that a new org has for people (inner XML of its metadata)."""

ROUTED_LEADS = "Sandbox lead routing"


def prepare(store: Store) -> None:
    """Makes the set-up objects and the org's first rows where they are missing.

    A new org has one lead assignment rule, active, that gives every lead to a second user: a
    client that forgets ``Sforce-Auto-Assign`` is found out (facts/salesforce.md §7).
    """
    is_new = "AssignmentRule" not in store.objects()
    if not is_new and _has_every_field(store):
        return
    with store.transaction():
        for name, text in _FIELDS.items():
            store.add_field(name, "Id", "id")
            for entry in f"{text} {_STAMPS}".split():
                field, kind = entry.split(":")
                store.add_field(
                    name,
                    field,
                    kind,
                    length=255 if kind in ("string", "picklist", "textarea") else 0,
                    read_only=entry in _STAMPS,
                )
        store.execute(record_access.VIEW)
        if is_new:
            _first_rows(store)


def _has_every_field(store: Store) -> bool:
    """A sandbox that an earlier release made may lack some."""
    names = ", ".join(f"'{name}'" for name in _FIELDS)
    count = store.execute(f"SELECT count(*) FROM field WHERE object IN ({names})").fetchone()[0]
    own = len(_STAMPS.split()) + 1
    return int(count) >= sum(len(text.split()) + own for text in _FIELDS.values())


def _first_rows(store: Store) -> None:
    at = crm_time(datetime.now(UTC))
    stamps = ("CreatedDate", "LastModifiedDate", "SystemModstamp")
    user, router = store.setting("user_id"), ids.new_id("005", 2)
    profile, permissions = ids.new_id("00e", 1), ids.new_id("0PS", 1)
    store.insert(
        "Profile",
        ("Id", "Name", "UserType", *stamps),
        [(profile, "Minimum Access - API Only Integrations", "Standard", at, at, at)],
    )
    store.execute('UPDATE "User" SET "ProfileId" = ? WHERE "Id" = ?', (profile, user))
    store.insert(
        "PermissionSet",
        ("Id", "Name", "Label", "IsOwnedByProfile", "ProfileId", *stamps),
        [(permissions, "X00ex00000018ozT", "Integration profile", 1, profile, at, at, at)],
    )
    store.insert(
        "PermissionSetAssignment",
        ("Id", "PermissionSetId", "AssigneeId", "IsActive", *stamps),
        [(ids.new_id("0Pa", 1), permissions, user, 1, at, at, at)],
    )
    address = "lead.router@bounce-sync.invalid"
    store.insert(
        "User",
        ("Id", "Username", "Email", "LastName", "Name", "IsActive", "TimeZoneSidKey", *stamps),
        [(router, address, address, "Router", "Lead Router", 1, "UTC", at, at, at)],
    )
    store.insert(
        "metadata_component",
        ("type", "full_name", "body", "modified_at"),
        [
            ("Layout", f"{name}-{name} Layout", LAYOUT.format(name=f"{name}-{name} Layout"), at)
            for name in ("Contact", "Lead")
        ],
    )
    store.insert(
        "AssignmentRule",
        ("Id", "Name", "SobjectType", "Active", "AssignTo", *stamps),
        [(ids.new_id("01Q", 1), ROUTED_LEADS, "Lead", 1, router, at, at, at)],
    )
