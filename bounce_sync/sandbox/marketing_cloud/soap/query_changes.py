"""Query definitions by SOAP: made, changed, deleted (facts/marketing-cloud.md 6)."""

import sqlite3

from lxml import etree

from bounce_sync.sandbox.marketing_cloud import data_extensions
from bounce_sync.sandbox.marketing_cloud.calls import Call
from bounce_sync.sandbox.marketing_cloud.queries import activity
from bounce_sync.sandbox.marketing_cloud.soap.errors import Rejected
from bounce_sync.sandbox.marketing_cloud.soap.reading import number, text
from bounce_sync.sandbox.marketing_cloud.soap.writing import new_id
from bounce_sync.sandbox.store import server_time


def created(call: Call, given: etree._Element) -> tuple[str, str | None]:
    key = (text(given, "CustomerKey") or "").strip() or new_id()
    said, target, update_type = _query_parts(call, given, {})
    at, object_id = server_time(call.store.now()), new_id()
    try:
        call.store.execute(
            "INSERT INTO query_definition VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                object_id,
                key,
                text(given, "Name") or key,
                call.mid,
                text(given, "Description"),
                said,
                target,
                update_type,
                number(given, "CategoryID"),
                at,
                at,
            ),
        )
    except sqlite3.IntegrityError as error:
        raise Rejected(f"A QueryDefinition with the key '{key}' already exists.", 2) from error
    return "QueryDefinition created", object_id


def updated(call: Call, given: etree._Element) -> tuple[str, str | None]:
    row = _query(call, given)
    said, target, update_type = _query_parts(call, given, dict(row))
    call.store.execute(
        "UPDATE query_definition SET query_text = ?, target_customer_key = ?,"
        " target_update_type = ?, name = ?, description = ?, modified_date = ?"
        " WHERE object_id = ?",
        (
            said,
            target,
            update_type,
            text(given, "Name") or row["name"],
            text(given, "Description") or row["description"],
            server_time(call.store.now()),
            row["object_id"],
        ),
    )
    return "QueryDefinition updated", row["object_id"]


def deleted(call: Call, given: etree._Element) -> tuple[str, str | None]:
    row = _query(call, given)
    call.store.execute("DELETE FROM query_definition WHERE object_id = ?", (row["object_id"],))
    return "QueryDefinition deleted", None


def _query(call: Call, given: etree._Element) -> sqlite3.Row:
    row: sqlite3.Row | None = call.store.execute(
        "SELECT * FROM query_definition WHERE mid = ? AND (object_id = ? OR customer_key = ?)",
        (
            call.mid,
            (text(given, "ObjectID") or "").strip().lower(),
            (text(given, "CustomerKey") or "").strip(),
        ),
    ).fetchone()
    if row is None:
        raise Rejected("QueryDefinition not found.", 2)
    return row


def _query_parts(call: Call, given: etree._Element, before: dict[str, str]) -> tuple[str, str, str]:
    """Text, target and update type, new or as before, validated. Raises Rejected."""
    said = text(given, "QueryText") or before.get("query_text", "")
    key = text(given, "DataExtensionTarget", "CustomerKey") or before.get("target_customer_key", "")
    update_type = text(given, "TargetUpdateType") or before.get("target_update_type", "Overwrite")
    target = data_extensions.find(call.store, call.mid, key or "")
    if target is None:
        raise Rejected(f"The target Data Extension '{key}' does not exist.", 2)
    if update_type not in activity.UPDATE_TYPES:
        raise Rejected(f"'{update_type}' is not a valid TargetUpdateType.", 2)
    found = activity.complaints(call.store, call.mid, said, target, update_type)
    if found:
        raise Rejected(" ".join(found), 2)
    return said, target.customer_key, update_type
