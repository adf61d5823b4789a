"""What every new tenant has: an account, credentials, the delivery's data extensions, an org."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bounce_sync.sandbox import ids, schema

if TYPE_CHECKING:
    from bounce_sync.sandbox.store import Store

DELIVERY_EXTENSIONS = ("Hard_Bounce_Staging_DE", "Hard_Bounce_Release_DE")

_DELIVERY_FIELDS = (
    ("SubscriberKey", 254),
    ("EmailAddress", 254),
    ("BounceCategory", 50),
    ("SMTPCode", 50),
    ("BounceReason", 500),
    ("BounceDate", 50),
    ("ContactId", 18),
    ("LeadId", 18),
    ("FlagDate", 50),
    ("RunId", 100),
)

_FIELD = re.compile(
    r"(?P<name>\w+) (?P<type>[a-z]+)(\((?P<length>\d+)\))?(:(?P<to>\w+))?( (?P<ro>ro))?"
)


def tenant(
    store: Store, seed: int, account_id: int, children: Sequence[tuple[int, str]], utc_offset: str
) -> None:
    """The enterprise's account, its children, and credentials of its own."""
    letters = string.ascii_lowercase + string.digits
    for name, value in {
        "seed": seed,
        "account_id": account_id,
        "utc_offset": utc_offset,
        "client_id": "".join(secrets.choice(letters) for _ in range(24)),
        "client_secret": "".join(secrets.choice(letters) for _ in range(24)),
        "username": "integration@bounce-sync.invalid",
        "password": secrets.token_urlsafe(18),
        "organization_id": ids.new_id("00D", 1),
        "user_id": ids.new_id("005", 1),
    }.items():
        store.set_setting(name, value)
    store.execute("INSERT INTO business_unit VALUES (?, 'Enterprise', NULL)", (account_id,))
    for mid, name in children:
        store.add_business_unit(mid, name)


def delivery_extensions(store: Store) -> None:
    """The data extensions that a delivery by Journey fills (design §6)."""
    from bounce_sync.sandbox.store import DataExtensionField

    fields = [
        DataExtensionField(
            name,
            max_length=length,
            is_primary_key=name == "SubscriberKey",
            is_required=name == "SubscriberKey",
        )
        for name, length in _DELIVERY_FIELDS
    ]
    for customer_key in DELIVERY_EXTENSIONS:
        store.create_data_extension(customer_key, fields, sendable_field="SubscriberKey")


def strip(store: Store) -> None:
    """Takes away what a set-up makes: the fields, the data extensions, automations and Journeys.

    The tenant and the org are then as before anybody prepared them.
    """
    for object_name in ("Contact", "Lead"):
        for name in ("Hard_Bounce__c", "Hard_Bounce_Date__c"):
            store.remove_field(object_name, name)
    for customer_key in DELIVERY_EXTENSIONS:
        row = store.data_extension(customer_key)
        if row is not None:
            store.execute(f"DROP TABLE {row['row_table']}")
            for table in ("data_extension", "data_extension_field"):
                store.execute(f"DELETE FROM {table} WHERE object_id = ?", (row["object_id"],))
    store.set_setting("delivery", "absent")


def org(store: Store) -> None:
    """The CRM's objects with their standard fields and ours, the organization and its user."""
    for object_name, text in schema.STANDARD_FIELDS.items():
        add_fields(store, object_name, text)
    for object_name in ("Contact", "Lead"):
        store.add_field(object_name, "Hard_Bounce__c", "boolean", label="Hard Bounce")
        store.add_field(object_name, "Hard_Bounce_Date__c", "datetime", label="Hard Bounce Date")
    for statement in schema.statements(schema.CRM_INDEXES):
        store.execute(statement)
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    born = {"CreatedDate": at, "LastModifiedDate": at, "SystemModstamp": at}
    _record(
        store,
        "Organization",
        Id=store.setting("organization_id"),
        Name="Bounce Sync Sandbox",
        OrganizationType="Enterprise Edition",
        InstanceName="BS0",
        TimeZoneSidKey="America/Chicago",
        LanguageLocaleKey="en_US",
        DefaultLocaleSidKey="en_US",
        **born,
    )
    _record(
        store,
        "User",
        Id=store.setting("user_id"),
        Username=store.setting("username"),
        Email=store.setting("username"),
        FirstName="Bounce Sync",
        LastName="Integration",
        Name="Bounce Sync Integration",
        Alias="bsync",
        IsActive=1,
        TimeZoneSidKey="UTC",
        LocaleSidKey="en_US",
        LanguageLocaleKey="en_US",
        EmailEncodingKey="UTF-8",
        UserType="Standard",
        **born,
    )


def add_fields(store: Store, object_name: str, text: str, names: Collection[str] = ()) -> None:
    """Makes the fields of a text as :data:`schema.STANDARD_FIELDS` has; ``names``: only these."""
    for match in _FIELD.finditer(" ".join(text.split())):
        if not names or match["name"].lower() in names:
            store.add_field(
                object_name,
                match["name"],
                match["type"],
                length=int(match["length"] or 0),
                read_only=match["ro"] is not None,
                reference_to=match["to"],
            )


def _record(store: Store, object_name: str, **values: object) -> None:
    store.insert(object_name, list(values), [list(values.values())])
