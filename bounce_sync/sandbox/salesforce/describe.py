"""Describe: the org's objects and their fields as the running user sees them."""

from __future__ import annotations

from typing import Any

from bounce_sync.sandbox.salesforce import values
from bounce_sync.sandbox.salesforce.entities import Entity, Field, entity, find_entity
from bounce_sync.sandbox.salesforce.http import DATA, Answer, Call, Routes
from bounce_sync.sandbox.salesforce.service import Service

routes = Routes()

_SOAP = {
    "id": "tns:ID",
    "reference": "tns:ID",
    "boolean": "xsd:boolean",
    "datetime": "xsd:dateTime",
    "date": "xsd:date",
    "int": "xsd:int",
    **dict.fromkeys(("double", "currency", "percent"), "xsd:double"),
}


@routes("GET", f"{DATA}/sobjects")
def describe_global(service: Service, call: Call) -> Answer:
    names = service.store.objects()
    found = filter(None, (find_entity(service.store, name, call.user.user_id) for name in names))
    return Answer(
        {
            "encoding": "UTF-8",
            "maxBatchSize": 200,
            "sobjects": [_summary(one, call.version) for one in found],
        }
    )


@routes("GET", f"{DATA}/sobjects/{{name}}")
def basic(service: Service, call: Call, name: str) -> Answer:
    found = entity(service.store, name, call.user.user_id)
    return Answer({"objectDescribe": _summary(found, call.version), "recentItems": []})


@routes("GET", f"{DATA}/sobjects/{{name}}/describe")
def describe(service: Service, call: Call, name: str) -> Answer:
    found = entity(service.store, name, call.user.user_id)
    return Answer(
        {
            **_summary(found, call.version),
            "childRelationships": [],
            "fields": [_field(one, found) for one in found.fields.values()],
            "recordTypeInfos": [],
            "supportedScopes": [{"label": "All records", "name": "everything"}],
        }
    )


def _summary(one: Entity, version: str) -> dict[str, Any]:
    base = f"/services/data/v{version}/sobjects/{one.name}"
    return {
        "activateable": False,
        "createable": True,
        "custom": one.name.lower().endswith("__c"),
        "customSetting": False,
        "deletable": True,
        "deprecatedAndHidden": False,
        "feedEnabled": False,
        "hasSubtypes": False,
        "isSubtype": False,
        "keyPrefix": one.prefix,
        "label": one.name,
        "labelPlural": f"{one.name}s",
        "layoutable": True,
        "mergeable": one.name in ("Account", "Contact", "Lead"),
        "mruEnabled": True,
        "name": one.name,
        "queryable": True,
        "replicateable": True,
        "retrieveable": True,
        "searchable": True,
        "triggerable": True,
        "undeletable": True,
        "updateable": one.updateable,
        "urls": {
            "sobject": base,
            "describe": f"{base}/describe",
            "rowTemplate": f"{base}/{{ID}}",
        },
    }


def _field(one: Field, of: Entity) -> dict[str, Any]:
    text = one.type in values.TEXTS
    length = 18 if one.type in values.IDS else one.length if text else 0
    return {
        "aggregatable": one.type not in ("boolean", "textarea"),
        "autoNumber": False,
        "byteLength": length * 3 if text else length,
        "calculated": False,
        "calculatedFormula": None,
        "cascadeDelete": False,
        "caseSensitive": False,
        "compoundFieldName": None,
        "controllerName": None,
        "createable": one.createable,
        "custom": one.custom,
        "defaultValue": False if one.type == "boolean" else None,
        "defaultValueFormula": None,
        "defaultedOnCreate": one.type == "boolean",
        "dependentPicklist": False,
        "deprecatedAndHidden": False,
        "digits": one.precision if one.type == "int" else 0,
        "displayLocationInDecimal": False,
        "encrypted": False,
        "externalId": one.external_id,
        "extraTypeInfo": None,
        "filterable": one.filterable,
        "filteredLookupInfo": None,
        "groupable": one.type not in ("textarea", "datetime", "double", "currency", "percent"),
        "highScaleNumber": False,
        "htmlFormatted": False,
        "idLookup": one.external_id or one.type == "id" or one.name == "Email",
        "inlineHelpText": None,
        "label": one.label,
        "length": length,
        "mask": None,
        "maskType": None,
        "name": one.name,
        "nameField": one.name == ("Username" if of.name == "User" else "Name"),
        "namePointing": False,
        "nillable": one.nillable,
        "permissionable": one.custom or one.updateable,
        "picklistValues": [],
        "polymorphicForeignKey": False,
        "precision": one.precision,
        "queryByDistance": False,
        "referenceTargetField": None,
        "referenceTo": [one.reference_to] if one.reference_to else [],
        "relationshipName": one.name.removesuffix("Id") if one.reference_to else None,
        "relationshipOrder": None,
        "restrictedDelete": False,
        "restrictedPicklist": False,
        "scale": one.scale,
        "searchPrefilterable": False,
        "soapType": _SOAP.get(one.type, "xsd:string"),
        "sortable": one.type != "textarea",
        "type": one.type,
        "unique": False,
        "updateable": one.updateable,
        "writeRequiresMasterRead": False,
    }
