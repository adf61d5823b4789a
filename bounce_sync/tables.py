"""The contract of every table: columns, types, keys and allowed values, each written once.

Everything that needs to know a column asks here: validation on load, asset checks, the column
schema in the UI, the data dictionary and the tests. This module must not know where a table is
stored or which rule fills it.

Times are UTC with microseconds unless a description says otherwise. Text is pandas' Arrow-backed
``str``; a missing text is NaN, never an empty string. A column whose metadata says ``pii`` holds
something that names or describes a person and never leaves the lake.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

Utc = Annotated[pd.DatetimeTZDtype, "us", "UTC"]

KEY_LENGTH = 254
"""SubscriberKey is nvarchar(254) (facts/marketing-cloud.md §1.1)."""

REASON_LENGTH = 500
"""The longest bounce reason that staging carries: ``BounceReason`` is Text(500)."""

HARD_BOUNCE = "Hard bounce"
UNKNOWN_BOUNCE = "Unknown bounce"
BOUNCE_CATEGORIES = (
    HARD_BOUNCE,
    "Soft bounce",
    "Block bounce",
    "Technical/Other bounce",
    UNKNOWN_BOUNCE,
)
"""As ``_Bounce.BounceCategory`` spells them (facts/marketing-cloud.md §1.5)."""

HELD = "Held"
UNKNOWN_STATUS = "Unknown"
NOT_JUDGED = "NotJudged"
STATUSES = ("Active", "Bounced", HELD, "Unsubscribed", "Deleted")
"""``Subscriber.Status`` over SOAP (facts/marketing-cloud.md §1.2)."""

CONTACT, LEAD, ACCOUNT = "Contact", "Lead", "Account"
OBJECTS = (CONTACT, LEAD, ACCOUNT)
RESOLUTIONS = ("own", "converted", "merged")

SET, REFRESH, CLEAR, NONE = "set", "refresh", "clear", "none"
ACTIONS = (SET, REFRESH, CLEAR, NONE)

WRITTEN, REJECTED, UNKNOWN, PENDING = "written", "rejected", "unknown", "pending"
OUTCOMES = (WRITTEN, REJECTED, UNKNOWN, PENDING)

REASONS: dict[str, str] = {
    "held": "SFMC holds the address, and a bounce confirms it.",
    "newer_bounce": "Flagged already; a newer bounce moves the date forward.",
    "still_held": "Flagged already and still Held; no newer bounce.",
    "released": "SFMC mails the address again.",
    "status_kept": "SFMC's status isn't among the policy's clear_statuses; the flag stays.",
    "unsubscribed": "Flagged; SFMC says Unsubscribed, which is no statement about the address.",
    "deleted": "Flagged; SFMC says Deleted, which is no statement about the address.",
    "unknown_subscriber": "Flagged; SFMC has no subscriber with any key of this record.",
    "not_judged": "Flagged; the source can't tell today's status of this subscriber.",
    "email_changed": "The CRM's e-mail isn't the address that bounced.",
    "email_removed": "The CRM's e-mail is empty.",
    "converted": "A flagged Lead that was converted: its Contact is judged instead.",
    "ambiguous": "The key matches several records of one object: none of them is touched.",
    "unmatched": "The key matches no record of the CRM.",
    "held_without_bounce": "SFMC holds the address, and no bounce is left that shows why.",
    "other_key": "Another key of the same record speaks for it.",
    "conflict": "A person changed what we wrote; left as the person left it.",
    "undone": "Our write was undone with `undo`; left until something newer happens.",
    "foreign_flag": "Flagged by someone else, and the policy says to leave such flags.",
    "person_account": "A Person Account's Contact, and SALESFORCE_PERSON_ACCOUNTS is off.",
    "domain_spike": "The mail domain exploded: quarantined, stays a candidate.",
    "domain_allowed": "The mail domain exploded, and the run's tag released it.",
}
"""Every reason a decision can carry, with what it tells the person who reads it."""

AGREES = "agrees"
FINDINGS: dict[str, tuple[str, str]] = {
    "not_flagged": (
        "SFMC holds the address, a bounce shows why, and the CRM doesn't say so.",
        "A mend flags it.",
    ),
    "held_without_bounce": (
        "SFMC holds the address, no bounce is left that confirms it, and the CRM has no flag, or "
        "no date.",
        "Held by hand, by an import, or for longer than bounces are kept. If these are dead "
        "addresses all the same, mend with `--held-without-bounce`.",
    ),
    "still_flagged": (
        "The CRM is flagged, and SFMC mails the address.",
        "A mend clears the flag.",
    ),
    "date_behind": (
        "Flagged; the CRM's date is empty or older than the newest bounce.",
        "A mend moves the date forward.",
    ),
    "date_ahead": (
        "Flagged; the CRM's date is later than every known bounce and than the hold; where no "
        "bounce is known, it lies in the future.",
        "Left, since no date is moved back. Look at who wrote it (field history).",
    ),
    "other_address": (
        "SFMC holds an address that the CRM has replaced or removed.",
        "A mend clears a flag. Give SFMC the new address, or it won't be mailed.",
    ),
    "conflict": (
        "A person, an undo or the policy says otherwise.",
        "Left. `bounce-sync explain RECORD` tells who changed what.",
    ),
    "no_statement": (
        "The CRM is flagged, and SFMC says nothing about the address: unsubscribed, deleted, or no "
        "such subscriber.",
        "Left. Untick the flag by hand where the address is known to be good.",
    ),
    "unmatched": (
        "SFMC holds a subscriber whose key leads to no Contact or Lead.",
        "Usual for subscribers from elsewhere. If all are, look at the policy's match_field.",
    ),
    "ambiguous": (
        "The key of a Held subscriber leads to several records of one object.",
        "Left. Merge the duplicates in the CRM.",
    ),
    "person_account": (
        "A Person Account's Contact, which isn't written.",
        "Set SALESFORCE_PERSON_ACCOUNTS to true if these are to be flagged.",
    ),
    "quarantined": (
        "Not flagged, since the mail domain exploded lately: that looks like an outage.",
        "Waits until the domain was calm for a week, or for `--allow-domain DOMAIN`.",
    ),
    AGREES: ("SFMC and the CRM say the same.", ""),
}
"""What the drift report can find of a key or a record: what it means, and what to do about it."""


def _text(description: str, *, nullable: bool = False, pii: bool = False, **rules: Any) -> Any:
    return pa.Field(nullable=nullable, description=description, metadata={"pii": pii}, **rules)


def _subscriber_key(description: str = "SFMC's SubscriberKey, as SFMC spells it.", **rules: Any):
    rules.setdefault("str_length", {"min_value": 1, "max_value": KEY_LENGTH})
    return _text(description, pii=True, **rules)


class Table(pa.DataFrameModel):
    """What all tables share: exactly these columns, exactly these types.

    A key is declared on the frame (``Config.unique``), never on a column: the column-level form is
    missed by other engines (facts/dagster.md §0.6).
    """

    class Config:
        strict = True
        coerce = False


class RawBounces(Table):
    """One row per bounce event of the day, every category."""

    business_unit: Series[str] = _text("MID of the business unit that sent the mail.")
    subscriber_key: Series[str] = _subscriber_key()
    event_at: Series[Utc] = pa.Field(description="When SFMC recorded the bounce (milliseconds).")
    bounce_category: Series[str] = _text("SFMC's category.", isin=BOUNCE_CATEGORIES)
    bounce_subcategory: Series[str] = _text(
        "SFMC's subcategory; the source `data_views` alone carries it.", nullable=True
    )
    smtp_code: Series[str] = _text("SMTP code of the rejecting server, as text.", nullable=True)
    smtp_reason: Series[str] = _text(
        "What the rejecting server said; `data_views` has its first 4,000 characters.",
        nullable=True,
        pii=True,
    )
    domain: Series[str] = _text(
        "Mail domain the event bounced at; the source `data_views` alone carries it, and a staging "
        "joined in SFMC.",
        nullable=True,
    )
    email_address: Series[str] = _text(
        "Address that bounced; the source `files` alone carries it.", nullable=True, pii=True
    )
    job_id: Series[pd.Int64Dtype] = pa.Field(
        nullable=True, description="SFMC's JobID (SendID over SOAP) of the mail."
    )


class HeldSubscribers(Table):
    """One row per subscriber that was Held when SFMC was read."""

    subscriber_key: Series[str] = _subscriber_key()
    email_address: Series[str] = _text("SFMC's address of today.", nullable=True, pii=True)
    held_at: Series[Utc] = pa.Field(
        nullable=True,
        description="When SFMC set Held, where the tenant tells; `data_views` and `files` know the "
        "minute or second of DateUndeliverable.",
    )
    read_at: Series[Utc] = pa.Field(description="When SFMC was asked.")

    class Config(Table.Config):
        unique: ClassVar[list[str]] = ["subscriber_key"]


class ConfirmedBounceStaging(Table):
    """One row per subscriber key that SFMC has given up on, with the bounce that shows why."""

    subscriber_key: Series[str] = _subscriber_key()
    email_address: Series[str] = _text(
        "Address that bounced: the event's, else SFMC's current one; empty where the event's "
        "domain shows that it was an older address.",
        nullable=True,
        pii=True,
    )
    domain: Series[str] = _text(
        "Mail domain that bounced: the event's, else the address's.", nullable=True
    )
    bounce_category: Series[str] = _text("Category of the newest bounce.", isin=BOUNCE_CATEGORIES)
    smtp_code: Series[str] = _text("SMTP code of the newest bounce.", nullable=True)
    bounce_reason: Series[str] = _text(
        f"Reason of the newest bounce, cut to reason_length (at most {REASON_LENGTH}).",
        nullable=True,
        pii=True,
    )
    bounced_at: Series[Utc] = pa.Field(
        description="Time of the newest bounce, whole seconds (SFMC's milliseconds are cut)."
    )
    evidence_count: Series[pd.Int64Dtype] = pa.Field(
        ge=1,
        description="Bounces of this key in the evidence window; a staging joined in SFMC has the "
        "newest alone.",
    )
    business_unit: Series[str] = _text("MID of the unit whose mail bounced last.")
    carried_since: Series[str] = _text(
        "Partition in which the key was first quarantined or rejected, where it was carried over "
        "from there; empty for evidence of the window.",
        nullable=True,
    )

    class Config(Table.Config):
        unique: ClassVar[list[str]] = ["subscriber_key"]


class CrmFlagState(Table):
    """One row per CRM record of interest and key that may speak for it."""

    object: Series[str] = _text("sObject of the record.", isin=OBJECTS)
    record_id: Series[str] = _text("18-character id of the record.", pii=True)
    subscriber_key: Series[str] = _subscriber_key("A key that may speak for the record.")
    resolution: Series[str] = _text(
        "How the key leads there: its own, or of a Lead converted into it, or of a record merged "
        "into it.",
        isin=RESOLUTIONS,
    )
    email: Series[str] = _text("The CRM's e-mail of today.", nullable=True, pii=True)
    flag: Series[bool] = pa.Field(description="The flag field's value.")
    flag_date: Series[Utc] = pa.Field(
        nullable=True,
        description="The date field's value; of a Date field, midnight UTC of that day.",
    )
    account_id: Series[str] = _text("Account of a Contact.", nullable=True)
    is_converted: Series[bool] = pa.Field(description="A Lead that was converted.")
    person_account_id: Series[str] = _text(
        "Account behind the Contact of a Person Account.", nullable=True
    )

    class Config(Table.Config):
        unique: ClassVar[list[str]] = ["object", "record_id", "subscriber_key"]


class ReleasedSubscribers(Table):
    """One row per key of `crm_flag_state` that isn't Held, with what SFMC says of it."""

    subscriber_key: Series[str] = _subscriber_key()
    status: Series[str] = _text(
        "SFMC's status; `Unknown` where SFMC has no such subscriber.",
        isin=(*STATUSES, UNKNOWN_STATUS, NOT_JUDGED),
    )
    read_at: Series[Utc] = pa.Field(description="When SFMC was asked.")

    class Config(Table.Config):
        unique: ClassVar[list[str]] = ["subscriber_key"]


class CrmFlagChanges(Table):
    """The plan: a decision for every staged key and every flagged record."""

    subscriber_key: Series[str] = _subscriber_key()
    object: Series[str] = _text(
        "sObject of the record; empty where the key leads nowhere.", nullable=True, isin=OBJECTS
    )
    record_id: Series[str] = _text("18-character id of the record.", nullable=True, pii=True)
    action: Series[str] = _text("What the writer does.", isin=ACTIONS)
    reason: Series[str] = _text("Why.", isin=tuple(REASONS))
    flag_before: Series[pd.BooleanDtype] = pa.Field(nullable=True, description="Flag in the CRM.")
    flag_after: Series[pd.BooleanDtype] = pa.Field(
        nullable=True, description="Flag after the write; as before where nothing is done."
    )
    date_before: Series[Utc] = pa.Field(nullable=True, description="Date in the CRM.")
    date_after: Series[Utc] = pa.Field(
        nullable=True, description="Date after the write; as before where nothing is done."
    )
    resolution: Series[str] = _text(
        "How the key leads to the record.", nullable=True, isin=RESOLUTIONS
    )
    status: Series[str] = _text(
        "SFMC's status of the key.", isin=(*STATUSES, UNKNOWN_STATUS, NOT_JUDGED)
    )
    bounced_at: Series[Utc] = pa.Field(
        nullable=True, description="The bounce that the decision rests on."
    )
    domain: Series[str] = _text("Mail domain of that bounce.", nullable=True)
    address_agrees: Series[pd.BooleanDtype] = pa.Field(
        nullable=True, description="Whether the CRM has the address that bounced, where compared."
    )
    email_hash: Series[str] = _text(
        "Fingerprint of the CRM's address, to see later whether it changed.", nullable=True
    )
    account_id: Series[str] = _text("Account of a Contact: siblings ride together.", nullable=True)
    person_account_id: Series[str] = _text(
        "Account behind the Contact of a Person Account.", nullable=True
    )
    staged: Series[bool] = pa.Field(description="The key is in `confirmed_bounce_staging`.")

    class Config(Table.Config):
        unique: ClassVar[list[str]] = ["subscriber_key", "object", "record_id"]


class CrmDrift(CrmFlagChanges):
    """A decision for every Held subscriber and every flagged record, and how far the two agree."""

    staged: Series[bool] = pa.Field(description="SFMC holds the key, in this spelling.")
    held_at: Series[Utc] = pa.Field(
        nullable=True, description="When SFMC set Held, where the tenant tells."
    )
    finding: Series[str] = _text("What was found.", isin=tuple(FINDINGS))
    read_at: Series[Utc] = pa.Field(description="When the CRM was read.")


class CrmFlagUpdates(Table):
    """One row per attempted write, of every run of the partition."""

    subscriber_key: Series[str] = _subscriber_key()
    object: Series[str] = _text("sObject of the record.", isin=OBJECTS)
    record_id: Series[str] = _text("18-character id of the record.", pii=True)
    action: Series[str] = _text("What was written.", isin=(SET, REFRESH, CLEAR))
    reason: Series[str] = _text("Why.", isin=tuple(REASONS))
    flag_before: Series[pd.BooleanDtype] = pa.Field(nullable=True, description="Before-image.")
    flag_after: Series[pd.BooleanDtype] = pa.Field(nullable=True, description="Flag as written.")
    date_before: Series[Utc] = pa.Field(nullable=True, description="Before-image.")
    date_after: Series[Utc] = pa.Field(nullable=True, description="Date as written.")
    outcome: Series[str] = _text("What became of it.", isin=OUTCOMES)
    error_code: Series[str] = _text("The CRM's code of a rejection.", nullable=True)
    message: Series[str] = _text("The CRM's message of a rejection.", nullable=True, pii=True)
    run_id: Series[str] = _text("Dagster run that wrote.")
    attempted_at: Series[Utc] = pa.Field(description="When the write was sent.")

    class Config(Table.Config):
        unique: ClassVar[list[str]] = ["run_id", "subscriber_key", "object", "record_id"]


class CrmRecords(Table):
    """What was read of the CRM for one run: the records of interest and those that lead to them.

    Deleted (merged away) and converted records are in it, so that keys can be followed.
    """

    object: Series[str] = _text("sObject of the record.", isin=OBJECTS)
    record_id: Series[str] = _text("18-character id of the record.", pii=True)
    email: Series[str] = _text("E-mail.", nullable=True, pii=True)
    flag: Series[bool] = pa.Field(description="The flag field's value.")
    flag_date: Series[Utc] = pa.Field(nullable=True, description="The date field's value.")
    account_id: Series[str] = _text("Account of a Contact.", nullable=True)
    is_deleted: Series[bool] = pa.Field(description="In the recycle bin, or merged away.")
    master_record_id: Series[str] = _text("The record it was merged into.", nullable=True, pii=True)
    is_converted: Series[bool] = pa.Field(description="A Lead that was converted.")
    converted_contact_id: Series[str] = _text(
        "The Contact that a Lead became.", nullable=True, pii=True
    )
    match_value: Series[str] = _text(
        "Value of the policy's match_field; the id where that is Id.", nullable=True, pii=True
    )
    person_account_id: Series[str] = _text(
        "Account behind the Contact of a Person Account.", nullable=True
    )

    class Config(Table.Config):
        unique: ClassVar[list[str]] = ["object", "record_id"]


class LedgerKnowledge(Table):
    """What the ledger knows of each record it ever wrote: the last confirmed write."""

    object: Series[str] = _text("sObject of the record.", isin=OBJECTS)
    record_id: Series[str] = _text("18-character id of the record.", pii=True)
    action: Series[str] = _text("Action of that write.", isin=(SET, REFRESH, CLEAR))
    is_undo: Series[bool] = pa.Field(description="That write was an undo.")
    flag_written: Series[bool] = pa.Field(description="The flag after it.")
    date_written: Series[Utc] = pa.Field(nullable=True, description="The date after it.")
    undone_action: Series[str] = _text(
        "What the undo undid; empty where the last write is no undo, or undid an undo.",
        nullable=True,
        isin=(SET, REFRESH, CLEAR),
    )
    undone_bounced_at: Series[Utc] = pa.Field(
        nullable=True, description="Bounce that the undone write rested on."
    )
    undone_status: Series[str] = _text(
        "SFMC's status under which the undone write was made.", nullable=True
    )
    undone_email_hash: Series[str] = _text(
        "Fingerprint of the CRM's address under which the undone write was made.", nullable=True
    )

    class Config(Table.Config):
        unique: ClassVar[list[str]] = ["object", "record_id"]


class DomainHistory(Table):
    """Sets per mail domain and decided day, as far as the lake remembers."""

    day: Series[str] = _text("Partition of the plan.")
    domain: Series[str] = _text("Mail domain; empty for a decided day without sets.", nullable=True)
    sets: Series[pd.Int64Dtype] = pa.Field(
        ge=0, description="Sets that first came up that day, quarantined ones included."
    )
    quarantined: Series[pd.Int64Dtype] = pa.Field(ge=0, description="Those of them that wait.")


DAILY_TABLES: dict[str, type[Table]] = {
    "raw_bounces": RawBounces,
    "held_subscribers": HeldSubscribers,
    "confirmed_bounce_staging": ConfirmedBounceStaging,
    "crm_flag_state": CrmFlagState,
    "released_subscribers": ReleasedSubscribers,
    "crm_flag_changes": CrmFlagChanges,
    "crm_flag_updates": CrmFlagUpdates,
}
"""Asset name → its table, of those with a partition for each day; in the order of the graph."""

TABLES = DAILY_TABLES | {"crm_drift": CrmDrift, "crm_drift_updates": CrmFlagUpdates}
"""Asset name → its table."""

DRIFT = "drift"
"""In the place of a partition: a run that compared everything, and is of no day."""


def shape(model: type[Table], columns: dict[str, Any] | pd.DataFrame) -> pd.DataFrame:
    """Columns in the model's order and types; a column that isn't given is empty.

    Raises ``KeyError`` for a column that the model doesn't know: a typo must not vanish.
    """
    schema = model.to_schema()
    frame = columns if isinstance(columns, pd.DataFrame) else pd.DataFrame(columns)
    if unknown := [name for name in frame.columns if name not in schema.columns]:
        raise KeyError(f"{model.__name__} has no column {', '.join(map(str, unknown))}")
    shaped = {}
    for name, column in schema.columns.items():
        dtype: Any = "str" if str(column.dtype).startswith("string") else column.dtype.type
        values = frame[name] if name in frame else pd.Series(pd.NA, index=frame.index, dtype=object)
        shaped[name] = values.astype(dtype)
    return pd.DataFrame(shaped, index=frame.index).reset_index(drop=True)


def empty(model: type[Table]) -> pd.DataFrame:
    """A frame of the model without rows."""
    return shape(model, pd.DataFrame())
