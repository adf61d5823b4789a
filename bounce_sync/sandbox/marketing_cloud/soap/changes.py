"""Create, Update and Delete: each object by itself, what became of all of them in one answer."""

from collections.abc import Callable

from lxml import etree

from bounce_sync.sandbox.marketing_cloud.calls import Call
from bounce_sync.sandbox.marketing_cloud.soap import (
    data_extension_changes,
    query_changes,
    row_changes,
)
from bounce_sync.sandbox.marketing_cloud.soap.errors import Refused, Rejected
from bounce_sync.sandbox.marketing_cloud.soap.reading import children, text, type_of
from bounce_sync.sandbox.marketing_cloud.soap.writing import element, message, new_id

_SCOPES = {
    "DataExtension": "data_extensions_write",
    "DataExtensionObject": "data_extensions_write",
    "QueryDefinition": "automations_write",
}


def create(call: Call, asked: etree._Element) -> bytes:
    return _each(call, asked, "Create", "CreateResponse", _CREATED)


def update(call: Call, asked: etree._Element) -> bytes:
    return _each(call, asked, "Update", "UpdateResponse", _UPDATED)


def delete(call: Call, asked: etree._Element) -> bytes:
    return _each(call, asked, "Delete", "DeleteResponse", _DELETED)


_Change = Callable[[Call, etree._Element], tuple[str, str | None]]
"""Says what was done, and the new object's id where there is one. Raises Rejected."""


def _each(
    call: Call, asked: etree._Element, operation: str, answer: str, changes: dict[str, _Change]
) -> bytes:
    results, failures = [], 0
    for ordinal, given in enumerate(children(asked, "Objects")):
        kind = type_of(given)
        change = changes.get(kind)
        if change is None:
            raise Refused(
                f"Unable to find a handler for object type: {kind}. Object types are"
                " case-sensitive, check spelling."
            )
        if not call.caller.may(_SCOPES[kind]):
            raise Refused(
                f"API Permission Failed. Operation: {operation}; ObjectType: {kind}", gap=False
            )
        try:
            said, object_id = change(call, given)
            results.append(_result(operation, ordinal, "OK", said, kind, given, object_id))
        except Rejected as rejected:
            failures += 1
            results.append(
                _result(
                    operation, ordinal, "Error", str(rejected), kind, given, None, rejected.code
                )
            )
    status = "OK" if not failures else "Error" if failures == len(results) else "Has Errors"
    return message(
        answer,
        *results,
        element("RequestID", new_id()),
        element("OverallStatus", status),
        action=answer,
    )


def _result(
    operation: str,
    ordinal: int,
    code: str,
    said: str,
    kind: str,
    given: etree._Element,
    object_id: str | None,
    error: int | None = None,
) -> str:
    shown = "".join(
        element(name, text(given, name)) for name in ("CustomerKey", "Name") if text(given, name)
    )
    identity = element("ObjectID", object_id) if object_id else '<ObjectID xsi:nil="true" />'
    return (
        f"<Results>{element('StatusCode', code)}{element('StatusMessage', said)}"
        f"{element('OrdinalID', ordinal)}"
        f"{element('ErrorCode', error) if error is not None else ''}"
        f"{'<NewID>0</NewID>' if operation == 'Create' else ''}"
        f"{element('NewObjectID', object_id) if operation == 'Create' and object_id else ''}"
        f'<Object xsi:type="{kind}"><PartnerKey xsi:nil="true" />'
        f"{identity}{shown}</Object></Results>"
    )


_CREATED: dict[str, _Change] = {
    "DataExtension": data_extension_changes.created,
    "DataExtensionObject": row_changes.created,
    "QueryDefinition": query_changes.created,
}
_UPDATED: dict[str, _Change] = {
    "DataExtension": data_extension_changes.updated,
    "DataExtensionObject": row_changes.updated,
    "QueryDefinition": query_changes.updated,
}
_DELETED: dict[str, _Change] = {
    "DataExtension": data_extension_changes.deleted,
    "DataExtensionObject": row_changes.deleted,
    "QueryDefinition": query_changes.deleted,
}
