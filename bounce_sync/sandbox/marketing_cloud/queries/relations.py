"""What a query can read: data views and data extensions (facts/marketing-cloud.md 1, 0.2)."""

from bounce_sync.sandbox.marketing_cloud import data_extensions, gaps
from bounce_sync.sandbox.marketing_cloud.queries.values import Kind, QueryError, Relation
from bounce_sync.sandbox.store import Store, quoted

TEXT, INT, BIT, DATETIME = Kind.TEXT, Kind.INT, Kind.BIT, Kind.DATETIME

_Columns = dict[str, tuple[str, Kind]]

_EVENT: _Columns = {
    "AccountID": ("account_id", INT),
    "OYBAccountID": ("oyb_account_id", INT),
    "JobID": ("job_id", INT),
    "ListID": ("list_id", INT),
    "BatchID": ("batch_id", INT),
    "SubscriberID": ("subscriber_id", INT),
    "SubscriberKey": ("subscriber_key", TEXT),
    "EventDate": ("event_date", DATETIME),
    "Domain": ("domain", TEXT),
    "TriggererSendDefinitionObjectID": ("triggerer_send_definition_object_id", TEXT),
    "TriggeredSendCustomerKey": ("triggered_send_customer_key", TEXT),
}
_UNIQUE: _Columns = {"IsUnique": ("is_unique", BIT)}
_BOUNCE: _Columns = {
    **_EVENT,
    **_UNIQUE,
    "BounceCategoryID": ("bounce_category_id", INT),
    "BounceCategory": ("bounce_category", TEXT),
    "BounceSubcategoryID": ("bounce_subcategory_id", INT),
    "BounceSubcategory": ("bounce_subcategory", TEXT),
    "BounceTypeID": ("bounce_type_id", INT),
    "BounceType": ("bounce_type", TEXT),
    "SMTPBounceReason": ("smtp_bounce_reason", TEXT),
    "SMTPMessage": ("smtp_message", TEXT),
    "SMTPCode": ("smtp_code", INT),
    "IsFalseBounce": ("is_false_bounce", BIT),
}
_CLICK: _Columns = {
    **_EVENT,
    **_UNIQUE,
    "URL": ("url", TEXT),
    "LinkName": ("link_name", TEXT),
    "LinkContent": ("link_content", TEXT),
}
_SUBSCRIBERS: _Columns = {
    "SubscriberID": ("subscriber_id", INT),
    # smalldatetime: no seconds
    "DateUndeliverable": ("substr(date_undeliverable, 1, 16) || ':00.000'", DATETIME),
    "DateJoined": ("substr(date_joined, 1, 16) || ':00.000'", DATETIME),
    "DateUnsubscribed": ("substr(date_unsubscribed, 1, 16) || ':00.000'", DATETIME),
    "Domain": ("domain", TEXT),
    "EmailAddress": ("email_address", TEXT),
    "BounceCount": ("bounce_count", INT),
    "SubscriberKey": ("subscriber_key", TEXT),
    "SubscriberType": ("subscriber_type", TEXT),
    "Status": ("lower(status)", TEXT),
    "Locale": ("NULL", TEXT),
}
_JOB: _Columns = {
    "JobID": ("job_id", INT),
    "AccountID": ("account_id", INT),
    "EmailName": ("email_name", TEXT),
    "EmailSubject": ("subject", TEXT),
    "DeliveredTime": ("sent_at", DATETIME),
    "CreatedDate": ("sent_at", DATETIME),
}
_VIEWS: dict[str, tuple[str, _Columns]] = {
    "_bounce": ("bounce", _BOUNCE),
    "_sent": ("sent", _EVENT),
    "_open": ("opened", {**_EVENT, **_UNIQUE}),
    "_click": ("clicked", _CLICK),
    "_job": ("job", _JOB),
}
_FIELD_KINDS = {
    "Number": INT,
    "Decimal": Kind.DECIMAL,
    "Boolean": BIT,
    "Date": DATETIME,
}


def relation(store: Store, mid: int, name: str, *, shared: bool) -> Relation:
    """The table that a name means in one account; `shared` with `Ent.` before it.

    A data view shows the account's own events. `_Subscribers` is the enterprise's list: a child
    unit sees it through `Ent.` alone, and nothing without. Raises QueryError.
    """
    view = name.lower()
    is_parent = mid == store.account_id
    if view == "_subscribers":
        rows = "status <> 'Deleted'" if shared or is_parent else "0"
        return _view("subscriber", _SUBSCRIBERS, rows)
    if view in _VIEWS and not shared:
        table, columns = _VIEWS[view]
        return _view(table, columns, f"account_id = {int(mid)}")
    found = data_extensions.find_by_name(store, store.account_id if shared else mid, name)
    if found is None:
        if name.startswith("_"):
            gaps.report("query", f"data view {name}")
        raise QueryError(f"Invalid object name '{'Ent.' if shared else ''}{name}'.")
    chosen = {f.name: (quoted(f.name), _FIELD_KINDS.get(f.field_type, TEXT)) for f in found.fields}
    return _view(found.rows, chosen, "1")


def _view(table: str, columns: _Columns, rows: str) -> Relation:
    shown = ", ".join(
        f"{sql}{' COLLATE NOCASE' if kind is TEXT else ''} AS {quoted(name.lower())}"
        for name, (sql, kind) in columns.items()
    )
    return Relation(
        f"(SELECT {shown} FROM {table} WHERE {rows})",
        {name.lower(): kind for name, (_, kind) in columns.items()},
    )
