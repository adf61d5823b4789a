"""Perform: Start of a query activity, ClearData of a data extension
(facts/marketing-cloud.md 5.3, 5.4)."""

import secrets
import sqlite3

from lxml import etree

from bounce_sync.sandbox.marketing_cloud import data_extensions, saving
from bounce_sync.sandbox.marketing_cloud.calls import Call
from bounce_sync.sandbox.marketing_cloud.queries import runs
from bounce_sync.sandbox.marketing_cloud.soap.errors import Refused
from bounce_sync.sandbox.marketing_cloud.soap.reading import child, children, text, type_of
from bounce_sync.sandbox.marketing_cloud.soap.writing import element, message, new_id

_NIL_KEY = '<PartnerKey xsi:nil="true" />'


def perform(call: Call, asked: etree._Element) -> bytes:
    """Raises Refused."""
    action = (text(asked, "Action") or "").strip()
    definitions = child(asked, "Definitions")
    results = [
        _performed(call, action, each)
        for each in ([] if definitions is None else children(definitions, "Definition"))
    ]
    failed = any("<StatusCode>Error" in result for result in results)
    return message(
        "PerformResponseMsg",
        f"<Results>{''.join(results)}</Results>",
        element("OverallStatus", "Error" if failed else "OK"),
        element("OverallStatusMessage", ""),
        element("RequestID", new_id()),
        action="PerformResponse",
    )


def _performed(call: Call, action: str, definition: etree._Element) -> str:
    match type_of(definition), action.lower():
        case "QueryDefinition", "start":
            return _start(call, definition)
        case "DataExtension", "cleardata":
            return _clear(call, definition)
        case kind, _:
            raise Refused(f"The {action} action is not supported for objects of type {kind}.")


def _start(call: Call, definition: etree._Element) -> str:
    _permitted(call, "automations_execute", "Start", "QueryDefinition")
    row: sqlite3.Row | None = call.store.execute(
        "SELECT * FROM query_definition WHERE mid = ? AND (object_id = ? OR customer_key = ?)",
        (
            call.mid,
            (text(definition, "ObjectID") or "").strip().lower(),
            (text(definition, "CustomerKey") or "").strip(),
        ),
    ).fetchone()
    if row is None:
        return _result("Error", "QueryDefinition not found.", "QueryDefinition", "")
    task = secrets.randbelow(2**31)
    doomed = "The activity failed." if call.fault("job_failed") else None
    runs.start(call.store, row, str(task), doomed)
    return _result(
        "OK",
        "QueryDefinition perform called successfully",
        "QueryDefinition",
        element("ObjectID", row["object_id"]),
        "<Task><StatusCode>OK</StatusCode><StatusMessage>OK</StatusMessage>"
        f"{element('ID', task)}{element('InteractionObjectID', new_id())}</Task>",
    )


def _clear(call: Call, definition: etree._Element) -> str:
    _permitted(call, "data_extensions_write", "ClearData", "DataExtension")
    key = (text(definition, "CustomerKey") or "").strip()
    target = data_extensions.find(call.store, call.mid, key)
    if target is None:
        return _result("Error", "Unable to find the Data Extension.", "DataExtension", "")
    saving.clear(call.store, target)
    shown = '<ObjectID xsi:nil="true" />' + element("CustomerKey", key)
    return _result("OK", "DataExtension perform called successfully", "DataExtension", shown)


def _result(code: str, said: str, kind: str, shown: str, task: str = "") -> str:
    return (
        f"<Result>{element('StatusCode', code)}{element('StatusMessage', said)}"
        f'<Object xsi:type="{kind}">{_NIL_KEY}{shown}</Object>{task}</Result>'
    )


def _permitted(call: Call, scope: str, action: str, kind: str) -> None:
    if not call.caller.may(scope):
        raise Refused(f"API Permission Failed. Operation: {action}; ObjectType: {kind}", gap=False)
