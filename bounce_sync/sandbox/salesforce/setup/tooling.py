"""The Tooling API, as far as set-up needs it: custom fields, and what an org consists of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bounce_sync.sandbox.salesforce.entities import Entity, Field, find_entity
from bounce_sync.sandbox.salesforce.errors import RowError, ServiceError, not_found
from bounce_sync.sandbox.salesforce.http import DATA, Answer, Call, Routes
from bounce_sync.sandbox.salesforce.ids import canonical
from bounce_sync.sandbox.salesforce.queries import answer_query
from bounce_sync.sandbox.salesforce.setup import changes

if TYPE_CHECKING:
    from bounce_sync.sandbox.salesforce.service import Service

routes = Routes()

_OBJECTS = {
    "CustomField": (
        "00N",
        "Id:id DeveloperName:string TableEnumOrId:string NamespacePrefix:string "
        "ManageableState:string CreatedDate:datetime",
    ),
    "EntityDefinition": (
        "000",
        "Id:id DurableId:string QualifiedApiName:string DeveloperName:string Label:string",
    ),
    "FieldDefinition": (
        "000",
        "Id:id DurableId:string QualifiedApiName:string DeveloperName:string Label:string "
        "EntityDefinitionId:string DataType:string",
    ),
}
"""Objects that only this API has; each is a view of the store."""

CUSTOM_FIELD = f"{DATA}/tooling/sobjects/CustomField"


def find(service: Service, name: str, user_id: str) -> Entity | None:
    """An object of the Tooling API: its own, or one of the org's."""
    for known, (prefix, text) in _OBJECTS.items():
        if known.lower() == name.lower():
            changes.number_fields(service.store)
            fields = {}
            for entry in text.split():
                field, kind = entry.split(":")
                fields[field.lower()] = Field(
                    field, field, kind, 255, 0, 0, True, False, False, False, False, None
                )
            return Entity(known, prefix, fields)
    return find_entity(service.store, name, user_id)


@routes("GET", f"{DATA}/tooling/query")
def query(service: Service, call: Call) -> Answer:
    return answer_query(
        service,
        call,
        "tooling/query",
        lambda name: find(service, name, call.user.user_id),
    )


@routes("POST", CUSTOM_FIELD)
def make(service: Service, call: Call) -> Answer:
    body = call.json_object()
    metadata = body.get("Metadata")
    if not isinstance(metadata, dict):
        raise ServiceError(
            400, "REQUIRED_FIELD_MISSING", "Required fields are missing: [Metadata]", ["Metadata"]
        )
    outcome = changes.make_field(service, str(body.get("FullName", "")), metadata)
    if isinstance(outcome, RowError):
        raise _refused(outcome)
    return Answer({"id": outcome, "success": True, "errors": [], "warnings": [], "infos": []}, 201)


def _refused(error: RowError) -> ServiceError:
    status = 403 if error.code == "INSUFFICIENT_ACCESS" else 400
    return ServiceError(status, error.code, error.message, list(error.fields))


def _row(service: Service, key: str) -> Any:
    changes.number_fields(service.store)
    row = service.store.execute(
        "SELECT object, name FROM custom_field WHERE id = ?", (canonical(key),)
    ).fetchone()
    if row is None:
        raise not_found()
    return row


@routes("GET", f"{CUSTOM_FIELD}/{{key}}")
def read(service: Service, call: Call, key: str) -> Answer:
    row = _row(service, key)
    full_name = f"{row['object']}.{row['name']}"
    url = f"/services/data/v{call.version}/tooling/sobjects/CustomField/{canonical(key)}"
    return Answer(
        {
            "attributes": {"type": "CustomField", "url": url},
            "Id": canonical(key),
            "FullName": full_name,
            "DeveloperName": row["name"].removesuffix("__c"),
            "TableEnumOrId": row["object"],
            "Metadata": changes.field_metadata(service.store, full_name),
        }
    )


@routes("DELETE", f"{CUSTOM_FIELD}/{{key}}")
def remove(service: Service, call: Call, key: str) -> Answer:
    del call
    row = _row(service, key)
    error = changes.drop_field(service, f"{row['object']}.{row['name']}")
    if error is not None:
        raise _refused(error)
    return Answer(None, 204)


@routes("GET", f"{DATA}/tooling/sobjects")
def described(service: Service, call: Call) -> Answer:
    names = [*_OBJECTS, *service.store.objects()]
    base = f"/services/data/v{call.version}/tooling/sobjects/"
    return Answer(
        {"sobjects": [{"name": name, "urls": {"sobject": base + name}} for name in names]}
    )
