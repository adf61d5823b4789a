"""What can be retrieved: each object's properties, where they are stored, and its order of pages.

The names are those of the WSDL and of recorded Describe answers (facts/marketing-cloud.md 4.2,
4.3, 4.6; wire.md 9-12), in WSDL order with inherited ones first. Properties that the service
has but doesn't give out are listed too, because Describe names them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from bounce_sync.sandbox.marketing_cloud.marked import XML, Markup
from bounce_sync.sandbox.marketing_cloud.soap.properties import (
    Kind,
    Property,
    pair_parts,
    row_parts,
)

TEXT, NUMBER, DATE, BOOLEAN, NIL = Kind.TEXT, Kind.NUMBER, Kind.DATE, Kind.BOOLEAN, Kind.NIL


@dataclass(frozen=True)
class Retrievable:
    """An object of Retrieve.

    `source` is the FROM clause; `account` the column that says whose row it is (None: one list for
    the whole enterprise). `order` makes pages: unique together, the last by itself; `time` (a
    property and its column) goes first where a filter is about it. `pairs`: properties are
    written as name and value, in a result of this type; that is so for objects that the WSDL has
    no type for.
    """

    name: str
    scope: str
    source: str
    properties: tuple[Property, ...]
    order: tuple[str, ...]
    account: str | None = None
    time: tuple[str, str] | None = None
    pairs: str | None = None

    @cached_property
    def readable(self) -> dict[str, Property]:
        return {p.name: p for p in self.properties if p.retrievable}

    def unknown(self, names: Sequence[str]) -> list[str]:
        """Asked names that aren't retrievable, in the order asked."""
        return [name for name in names if name not in self.readable]

    def row(self, names: Sequence[str]) -> str:
        """SQL of one `Results` element with these properties, in WSDL order.

        `PartnerKey` is always there and nil, `ObjectID` is nil where it wasn't asked for.
        """
        elements, pairs = self._chosen(names)
        if self.pairs is None:
            opening, closing = Markup(f'<Results xsi:type="{self.name}">'), Markup("</Results>")
            return XML.printed([opening, *row_parts(elements), closing])
        opening = Markup(f'<Results xsi:type="{self.pairs}">')
        middle = Markup(f"<Type>{self.name.partition('[')[0]}</Type><Properties>")
        closing = Markup("</Properties></Results>")
        return XML.printed([opening, *row_parts(elements), middle, *pair_parts(pairs), closing])

    def page(self, names: Sequence[str], rows: Sequence[bytes]) -> bytes:
        """What `row` gave, as the answer has it."""
        elements, _pairs = self._chosen(names)
        tags = [(each, each.name.rpartition(".")[2]) for each in elements]
        changes = {f"<{tag}>{{}}</{tag}>": each.without_value(tag) for each, tag in tags}
        changes["<Value>{}</Value>"] = "<Value />"
        return XML.completed(XML.finished(rows), changes)

    def _chosen(self, names: Sequence[str]) -> tuple[list[Property], list[Property]]:
        """Properties with elements of their own, and those that are name and value."""
        chosen = []
        for each in self.properties:
            if each.name == "PartnerKey" or (each.name == "ObjectID" and each.name not in names):
                chosen.append(replace(each, kind=Kind.NIL))
            elif each.name in names:
                chosen.append(each)
        if self.pairs is None:
            return chosen, []
        end = next(n for n, each in enumerate(chosen) if each.name == "ObjectID") + 1
        return chosen[:end], chosen[end:]


_ENTERPRISE = "(SELECT CAST(value AS INTEGER) FROM tenant WHERE name = 'account_id')"


def _hidden(name: str, kind: Kind = TEXT) -> Property:
    return Property(name, kind, "NULL", retrievable=False)


def _tracking(event_type: str) -> tuple[Property, ...]:
    """The properties of every event, from a table aliased `e`."""
    return (
        Property("Client.ID", NUMBER, "e.account_id"),
        Property("PartnerKey", NIL, "NULL"),
        Property("CreatedDate", DATE, "e.event_date"),
        Property("ModifiedDate", DATE, "e.event_date"),
        Property("ID", NUMBER, "e.id"),
        Property("ObjectID", NIL, "NULL"),
        Property("SendID", NUMBER, "e.job_id"),
        Property("SubscriberKey", TEXT, "e.subscriber_key"),
        Property("EventDate", DATE, "e.event_date"),
        Property("EventType", TEXT, event_type),
        Property("TriggeredSendDefinitionObjectID", TEXT, "e.triggerer_send_definition_object_id"),
        Property("BatchID", NUMBER, "e.batch_id"),
    )


def _event(name: str, table: str, event_type: str, *own: Property) -> Retrievable:
    return Retrievable(
        name,
        scope="tracking_events_read",
        source=f"{table} AS e",
        properties=(*_tracking(event_type), *own),
        order=("e.event_date", "e.account_id", "e.id"),
        account="e.account_id",
    )


_BOUNCE_TYPE = (
    "CASE e.bounce_category COLLATE NOCASE WHEN 'hard bounce' THEN 'HardBounce'"
    " WHEN 'soft bounce' THEN 'SoftBounce' ELSE 'OtherBounce' END"
)
_STATUSES = ("Active", "Bounced", "Held", "Unsubscribed", "Deleted")


def _stored_status(value: str) -> str:
    return next((s for s in _STATUSES if s.lower() == value.strip().lower()), value)


def _event_status(column: str) -> str:
    """Active and Bounced are both `normal` to the log of transitions."""
    return (
        f"CASE lower({column}) WHEN 'held' THEN 'held' WHEN 'unsub' THEN 'unsub'"
        f" WHEN 'unsubscribed' THEN 'unsub' WHEN 'deleted' THEN 'deleted' ELSE 'normal' END"
    )


def _folded(value: str) -> str:
    return value.strip().lower()


BOUNCE_EVENT = _event(
    "BounceEvent",
    "bounce",
    _BOUNCE_TYPE,
    Property("SMTPCode", TEXT, "e.smtp_code"),
    Property("BounceCategory", TEXT, "e.bounce_category"),
    Property("SMTPReason", TEXT, "e.smtp_bounce_reason"),
    Property("BounceType", TEXT, "e.bounce_type"),
)
SENT_EVENT = _event("SentEvent", "sent", "'Sent'")
OPEN_EVENT = _event("OpenEvent", "opened", "'Open'")
CLICK_EVENT = _event("ClickEvent", "clicked", "'Click'", Property("URL", TEXT, "e.url"))

SUBSCRIBER = Retrievable(
    "Subscriber",
    scope="list_and_subscribers_read",
    source="subscriber AS s",
    properties=(
        Property("Client.ID", NUMBER, _ENTERPRISE),
        Property("Client.PartnerClientKey", TEXT, "NULL"),
        Property("PartnerKey", NIL, "NULL"),
        Property("CreatedDate", DATE, "s.created_date"),
        _hidden("ModifiedDate", DATE),
        Property("ID", NUMBER, "s.subscriber_id"),
        Property("ObjectID", NIL, "NULL", retrievable=False),
        Property("EmailAddress", TEXT, "s.email_address", length=254),
        _hidden("Attributes"),
        Property("SubscriberKey", TEXT, "s.subscriber_key", length=254),
        Property("UnsubscribedDate", DATE, "s.date_unsubscribed"),
        Property("Status", TEXT, "s.status", stored=_stored_status),
        Property("EmailTypePreference", TEXT, "'HTML'"),
        _hidden("Lists"),
    ),
    order=("s.subscriber_id",),
    time=("CreatedDate", "s.created_date"),
)
STATUS_EVENT = Retrievable(
    "SubscriberStatusEvent",
    scope="list_and_subscribers_read",
    source=(
        "(SELECT *, "
        + _event_status("current_status")
        + " AS now_is, "
        + _event_status("previous_status")
        + " AS was FROM status_event) AS e"
    ),
    properties=(
        Property("Client.ID", NUMBER, "e.account_id"),
        Property("PartnerKey", NIL, "NULL"),
        Property("CreatedDate", DATE, "e.created_date"),
        Property("ObjectID", TEXT, "e.id"),
        Property("SubscriberID", NUMBER, "e.subscriber_id"),
        Property("SubscriberKey", TEXT, "e.subscriber_key"),
        Property("CurrentStatus", TEXT, "e.now_is", stored=_folded),
        Property("PreviousStatus", TEXT, "e.was", stored=_folded),
        Property("ReasonUnsub", TEXT, "e.reason_unsub"),
    ),
    order=("e.created_date", "e.id"),
    pairs="ObjectExtension",
)

_DATA_EXTENSION = Retrievable(
    "DataExtension",
    scope="data_extensions_read",
    source="data_extension AS d",
    properties=(
        Property("Client.ID", NUMBER, "d.mid"),
        Property("PartnerKey", NIL, "NULL"),
        Property("CreatedDate", DATE, "d.created_date"),
        Property("ModifiedDate", DATE, "d.modified_date"),
        Property("ObjectID", TEXT, "d.object_id", length=36),
        Property("CustomerKey", TEXT, "d.customer_key", length=36),
        Property("Name", TEXT, "d.name", length=100),
        Property("Description", TEXT, "d.description", length=200),
        Property("IsSendable", BOOLEAN, "d.is_sendable"),
        Property("IsTestable", BOOLEAN, "0"),
        Property("SendableDataExtensionField.Name", TEXT, "d.sendable_field"),
        # Created as "Subscriber Key", given back as "_SubscriberKey".
        Property(
            "SendableSubscriberField.Name",
            TEXT,
            "'_' || replace(d.sendable_subscriber_field, ' ', '')",
        ),
        _hidden("Template.CustomerKey"),
        Property("CategoryID", NUMBER, "d.category_id"),
        Property("Status", TEXT, "NULL"),
        Property("IsPlatformObject", BOOLEAN, "0"),
        _hidden("Fields"),
    ),
    order=("d.object_id",),
    account="d.mid",
)
_DATA_EXTENSION_FIELD = Retrievable(
    "DataExtensionField",
    scope="data_extensions_read",
    source="data_extension_field AS f JOIN data_extension AS d ON d.object_id = f.object_id",
    properties=(
        Property("Client.ID", NUMBER, "d.mid"),
        Property("PartnerKey", NIL, "NULL"),
        Property("CreatedDate", DATE, "d.created_date"),
        Property("ModifiedDate", DATE, "d.modified_date"),
        Property("ObjectID", TEXT, "f.field_id", length=36),
        Property("CustomerKey", TEXT, "'[' || d.customer_key || '].[' || f.name || ']'"),
        Property("Name", TEXT, "f.name", length=50),
        Property("DefaultValue", TEXT, "f.default_value"),
        Property("MaxLength", NUMBER, "f.max_length"),
        Property("IsRequired", BOOLEAN, "f.is_required"),
        Property("Ordinal", NUMBER, "f.ordinal"),
        Property("IsPrimaryKey", BOOLEAN, "f.is_primary_key"),
        Property("FieldType", TEXT, "f.field_type"),
        Property("DataExtension.CustomerKey", TEXT, "d.customer_key", length=36),
        Property("StorageType", TEXT, "'Plain'"),
        Property("Scale", NUMBER, "f.scale"),
    ),
    order=("f.field_id",),
    account="d.mid",
)
_QUERY_DEFINITION = Retrievable(
    "QueryDefinition",
    scope="automations_read",
    source=(
        "query_definition AS q LEFT JOIN data_extension AS d"
        " ON d.customer_key = q.target_customer_key AND d.mid = q.mid"
    ),
    properties=(
        Property("Client.ID", NUMBER, "q.mid"),
        Property("PartnerKey", NIL, "NULL"),
        Property("CreatedDate", DATE, "q.created_date"),
        Property("ModifiedDate", DATE, "q.modified_date"),
        Property("ObjectID", TEXT, "q.object_id", length=36),
        Property("CustomerKey", TEXT, "q.customer_key", length=36),
        Property("Name", TEXT, "q.name", length=100),
        Property("Description", TEXT, "q.description"),
        Property("QueryText", TEXT, "q.query_text"),
        Property("TargetType", TEXT, "'DE'"),
        Property("DataExtensionTarget.CustomerKey", TEXT, "q.target_customer_key"),
        Property("DataExtensionTarget.Name", TEXT, "d.name"),
        Property("TargetUpdateType", TEXT, "q.target_update_type"),
        Property("FileSpec", TEXT, "NULL"),
        Property("FileType", TEXT, "NULL"),
        Property("Status", TEXT, "'Active'"),
        Property("CategoryID", NUMBER, "q.category_id"),
    ),
    order=("q.object_id",),
    account="q.mid",
)

OBJECTS = {
    each.name: each
    for each in (
        BOUNCE_EVENT,
        SENT_EVENT,
        OPEN_EVENT,
        CLICK_EVENT,
        SUBSCRIBER,
        STATUS_EVENT,
        _DATA_EXTENSION,
        _DATA_EXTENSION_FIELD,
        _QUERY_DEFINITION,
    )
}
