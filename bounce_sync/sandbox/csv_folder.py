"""A tenant from a folder of CSV files: somebody's own exports, or a test's (design §6).

=============================  =====================================================================
``subscribers.csv``            SubscriberKey, EmailAddress, Status, DateUndeliverable, BounceCount,
                               SubscriberType (and the other columns of ``_Subscribers``)
``bounces.csv``                the columns of ``_Bounce``
``contacts.csv``,              the CRM's fields by their API names; a custom field (``…__c``) that
``leads.csv``                  isn't there yet is made, of the type that its values have
``data_extensions/KEY.csv``    rows of that data extension; one that isn't there yet is made
=============================  =====================================================================

Only SubscriberKey, EventDate and Id are required; each file may be absent, not all of them. An
absent column is empty, an unknown one is an error that names it. Times of SFMC are server time,
those of the CRM UTC. The AccountID of most bounces is the enterprise's account, the others are its
children. A subscriber that only bounces know isn't in SFMC.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from bounce_sync.sandbox import csv_records, csv_values, founding
from bounce_sync.sandbox.csv_file import Column, Complaints, CsvFile, Row, default
from bounce_sync.sandbox.store import ACCOUNT_ID, SandboxError, Store

SUBSCRIBERS, BOUNCES, EXTENSIONS = "subscribers.csv", "bounces.csv", "data_extensions"
KNOWN = (SUBSCRIBERS, BOUNCES, *csv_records.FILES.values())

CATEGORIES = {
    1: "Hard bounce",
    2: "Soft bounce",
    3: "Block bounce",
    4: "Unknown bounce",
    5: "Technical/Other bounce",
}
"""``BounceCategoryID`` (facts/marketing-cloud.md §1.5); id and name fill in for each other."""

FIRST_JOINED = datetime(2020, 1, 1)  # noqa: DTZ001 - server time is naive
"""When the first subscriber joined where the file doesn't say; each next one a second later."""


def create(
    directory: Path | str, folder: Path | str, *, utc_offset: str = "-06:00", bare: bool = False
) -> None:
    """Makes a sandbox in ``directory`` from the files in ``folder``.

    With ``bare`` it is a tenant that nobody has set up (``founding.strip``). Raises SandboxError
    that lists what is wrong with the files, by file, line and column; nothing is made then.
    """
    folder = Path(folder)
    _look_around(folder)
    enterprise, *children = _accounts(folder / BOUNCES) or [ACCOUNT_ID]
    units = [(mid, f"Business unit {mid}") for mid in children]
    with Store.making(
        directory, account_id=enterprise, business_units=units, utc_offset=utc_offset
    ) as store:
        load(store, folder)
        if bare:
            founding.strip(store)


def load(store: Store, folder: Path) -> None:
    """Fills a tenant that is being made; see :func:`create`."""
    complaints = Complaints(folder)
    with (
        store.transaction(),
        store.loading("subscriber", "bounce", "status_event", *csv_records.FILES),
    ):
        if (path := folder / SUBSCRIBERS).exists():
            _load_subscribers(store, path, complaints)
        if (path := folder / BOUNCES).exists():
            _load_bounces(store, path, complaints)
        for object_name, name in csv_records.FILES.items():
            if (path := folder / name).exists():
                csv_records.load_records(store, object_name, path, complaints)
        for path in sorted((folder / EXTENSIONS).glob("*.csv")):
            csv_records.load_data_extension(store, path, complaints)
        complaints.raise_any()
        _complete(store)


def _look_around(folder: Path) -> None:
    """A folder that is no data folder is an error; a file in it that nobody reads is named."""
    present = {path.name for path in folder.glob("*.csv")}
    if not present & set(KNOWN) and not (folder / EXTENSIONS).is_dir():
        raise SandboxError(f"{folder} holds none of {', '.join(KNOWN)}")
    for name in sorted(present - set(KNOWN)):
        print(f"{folder / name} isn't read: it is none of {', '.join(KNOWN)}", file=sys.stderr)


def _accounts(path: Path) -> list[int]:
    """The AccountIDs of the bounces, that of most bounces first (of equals the smallest)."""
    if not path.exists():
        return []
    file = CsvFile(path, Column, Complaints(path.parent))  # what is wrong is told by the loading
    names = [name.lower() for name in file.header]
    if "accountid" not in names:
        return []
    position = names.index("accountid")
    cells = Counter(row[position].strip() for _, row in file.cells() if position < len(row))
    counts: Counter[int] = Counter()
    for cell, count in cells.items():
        if cell.isdecimal():
            counts[int(cell)] += count
    return sorted(counts, key=lambda mid: (-counts[mid], mid))


def _among(columns: Mapping[str, Column]) -> Callable[[str], Column | None]:
    """Finds a column by its name in any case."""
    by_name = {name.lower(): column for name, column in columns.items()}
    return lambda name: by_name.get(name.lower())


def _load_subscribers(store: Store, path: Path, complaints: Complaints) -> None:
    time = csv_values.server_time(store.utc_offset)
    columns = {
        "SubscriberKey": Column("subscriber_key", csv_values.key, required=True),
        "EmailAddress": Column("email_address", csv_values.text_of(254)),
        "Status": Column("status", csv_values.status, empty="Active"),
        "DateUndeliverable": Column("date_undeliverable", time),
        "BounceCount": Column("bounce_count", csv_values.integer, empty=0),
        "SubscriberType": Column("subscriber_type", csv_values.text_of(100)),
        "SubscriberID": Column("subscriber_id", csv_values.integer),
        "DateJoined": Column("date_joined", time),
        "DateUnsubscribed": Column("date_unsubscribed", time),
        "Domain": Column("domain", csv_values.text_of(254)),
    }
    file = CsvFile(path, _among(columns), complaints, ["SubscriberKey"])

    def whole() -> Iterator[tuple[int, Row]]:
        for number, (line, row) in enumerate(file.rows(), 1):
            address: str | None = row.setdefault("email_address", None)
            joined = FIRST_JOINED + timedelta(seconds=number)
            default(row, "subscriber_id", number)
            default(row, "domain", address.rpartition("@")[2].lower() if address else None)
            default(row, "date_joined", joined.isoformat(" ", "milliseconds"))
            row["created_date"] = row["date_joined"]
            yield line, row

    file.fill(store, "subscriber", whole(), unique="SubscriberKey or SubscriberID")


def _load_bounces(store: Store, path: Path, complaints: Complaints) -> None:
    time, account_id = csv_values.server_time(store.utc_offset), store.account_id
    number, truth, text = csv_values.integer, csv_values.boolean, csv_values.text_of
    columns = {
        "AccountID": Column("account_id", number, empty=account_id),
        "OYBAccountID": Column("oyb_account_id", number),
        "JobID": Column("job_id", number),
        "ListID": Column("list_id", number),
        "BatchID": Column("batch_id", number),
        "SubscriberID": Column("subscriber_id", number),
        "SubscriberKey": Column("subscriber_key", csv_values.key, required=True),
        "EventDate": Column("event_date", time, required=True),
        "IsUnique": Column("is_unique", truth, empty=0),
        "Domain": Column("domain", text(128)),
        "BounceCategoryID": Column("bounce_category_id", number),
        "BounceCategory": Column("bounce_category", text(50)),
        "BounceSubcategoryID": Column("bounce_subcategory_id", number),
        "BounceSubcategory": Column("bounce_subcategory", text(50)),
        "BounceTypeID": Column("bounce_type_id", number),
        "BounceType": Column("bounce_type", text(50)),
        "SMTPBounceReason": Column("smtp_bounce_reason"),
        "SMTPMessage": Column("smtp_message"),
        "SMTPCode": Column("smtp_code"),
        "TriggererSendDefinitionObjectID": Column("triggerer_send_definition_object_id", text(36)),
        "TriggeredSendCustomerKey": Column("triggered_send_customer_key", text(36)),
        "IsFalseBounce": Column("is_false_bounce", truth, empty=0),
    }
    file = CsvFile(path, _among(columns), complaints, ["SubscriberKey", "EventDate"])
    numbers = {name.lower(): number for number, name in CATEGORIES.items()}

    def whole() -> Iterator[tuple[int, Row]]:
        for line, row in file.rows():
            category: str | None = row.setdefault("bounce_category", None)
            default(row, "bounce_category_id", numbers.get((category or "").lower()))
            default(row, "bounce_category", CATEGORIES.get(row["bounce_category_id"]))
            default(row, "account_id", account_id)
            default(row, "is_unique", 0)
            default(row, "is_false_bounce", 0)
            yield line, row

    file.fill(store, "bounce", whole())


def _complete(store: Store) -> None:
    """What follows from the files: ids of bounced subscribers, jobs, when each was held.

    A bounce at the subscriber's present domain is taken to have been at the present address.
    """
    store.execute(
        "UPDATE bounce SET subscriber_id = coalesce(bounce.subscriber_id, s.subscriber_id),"
        " email_address = CASE WHEN coalesce(bounce.domain, s.domain) = s.domain COLLATE NOCASE"
        " THEN s.email_address END"
        " FROM subscriber AS s WHERE s.subscriber_key = bounce.subscriber_key"
    )
    store.execute(
        "INSERT INTO job SELECT job_id, min(account_id), 'E-mail ' || job_id, 'E-mail ' || job_id,"
        " min(event_date) FROM bounce WHERE job_id IS NOT NULL GROUP BY job_id"
    )
    store.execute(
        "INSERT INTO status_event (account_id, subscriber_id, subscriber_key, created_date,"
        " previous_status, current_status)"
        " SELECT ?, subscriber_id, subscriber_key, date_undeliverable, 'normal', 'held'"
        " FROM subscriber WHERE status = 'Held' AND date_undeliverable IS NOT NULL",
        (store.account_id,),
    )
