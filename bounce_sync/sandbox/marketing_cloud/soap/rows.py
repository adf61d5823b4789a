"""`DataExtensionObject[key]`: rows of a data extension by SOAP (facts/marketing-cloud.md 4.7)."""

from bounce_sync.sandbox.marketing_cloud import data_extensions
from bounce_sync.sandbox.marketing_cloud.soap.objects import Retrievable
from bounce_sync.sandbox.marketing_cloud.soap.properties import Kind, Property
from bounce_sync.sandbox.store import Store, quoted

_PREFIX = "DataExtensionObject["
_KINDS = {"Number": Kind.NUMBER, "Date": Kind.DATE, "Boolean": Kind.BOOLEAN}


def data_extension_rows(store: Store, mid: int, object_type: str) -> Retrievable | None:
    """The retrievable that the object type names, by key or by name: clients use both."""
    if not object_type.startswith(_PREFIX) or not object_type.endswith("]"):
        return None
    said = object_type[len(_PREFIX) : -1]
    found = data_extensions.find(store, mid, said) or data_extensions.find_by_name(store, mid, said)
    if found is None:
        return None
    own = (
        Property(
            field.name,
            _KINDS.get(field.field_type, Kind.TEXT),
            quoted(field.name),
            shown=data_extensions.shown(field),
        )
        for field in found.fields
    )
    return Retrievable(
        object_type,
        scope="data_extensions_read",
        source=found.rows,
        properties=(
            Property("PartnerKey", Kind.NIL, "NULL"),
            Property("ObjectID", Kind.NIL, "NULL"),
            *own,
        ),
        order=("_row",),
        pairs="DataExtensionObject",
    )
