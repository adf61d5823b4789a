"""Which fields of the org the sync reads and writes, and whether they can hold what it needs.

Names are taken from describe in the org's own spelling, so that a setting may differ in case. A
field that is hidden from the integration user is absent there, as if it didn't exist
(facts/salesforce.md §4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bounce_sync.salesforce.connection import Connection, Org
from bounce_sync.salesforce.errors import FieldsMissing, RequestRejected, UnreadableAnswer
from bounce_sync.salesforce.transport import Answer
from bounce_sync.tables import ACCOUNT, CONTACT, LEAD

NUMBERS = frozenset({"double", "int", "long", "currency", "percent"})
IDS = frozenset({"id", "reference"})

_COLUMNS = {
    CONTACT: {
        "record_id": "Id",
        "email": "Email",
        "account_id": "AccountId",
        "is_deleted": "IsDeleted",
        "master_record_id": "MasterRecordId",
    },
    LEAD: {
        "record_id": "Id",
        "email": "Email",
        "is_deleted": "IsDeleted",
        "master_record_id": "MasterRecordId",
        "is_converted": "IsConverted",
        "converted_contact_id": "ConvertedContactId",
    },
    ACCOUNT: {
        "record_id": "Id",
        "email": "PersonEmail",
        "is_deleted": "IsDeleted",
        "master_record_id": "MasterRecordId",
        "converted_contact_id": "PersonContactId",
    },
}


@dataclass(frozen=True)
class OrgFacts:
    """What the rules need to know of the org: attributes as `rules.changes.CrmFacts` names them."""

    date_is_day: bool
    time_zone: str
    is_sandbox: bool


@dataclass(frozen=True)
class ObjectFields:
    """One object's fields: column of `CrmRecords` → API name as the org spells it."""

    object: str
    names: Mapping[str, str]
    match_type: str
    """describe's type of the match field."""
    person_field: str | None
    """``IsPersonAccount``, where the org has Person Accounts."""

    @property
    def selected(self) -> list[str]:
        """Every API name to ask for, once each, Id first."""
        names = [*self.names.values(), *([self.person_field] if self.person_field else [])]
        return list(dict.fromkeys(names))


@dataclass(frozen=True)
class Layout:
    """The fields of every object that is read."""

    objects: Mapping[str, ObjectFields]
    date_is_day: bool


@dataclass(frozen=True)
class Field:
    """A field as describe tells of it to the integration user."""

    name: str
    type: str
    filterable: bool
    updateable: bool


@dataclass(frozen=True)
class Described:
    """An object as describe tells of it: its fields by lower-case name."""

    updateable: bool
    fields: Mapping[str, Field]


Descriptions = Mapping[str, Described | None]
"""Object → what describe tells; None where it isn't visible."""


def person_field(name: str) -> str:
    """A Contact's custom field as it surfaces on the Account (``…__c`` → ``…__pc``)."""
    return name.removesuffix("__c") + "__pc" if name.endswith("__c") else name


def read_layout(connection: Connection, match_field: str = "Id") -> Layout:
    """Asks describe for Contact and Lead (and Account, where Person Accounts are written).

    Raises ``FieldsMissing``, which lists everything that is missing, hidden or of a wrong type.
    """
    objects = [CONTACT, LEAD, *([ACCOUNT] if connection.org.person_accounts else [])]
    return layout_of(describe_objects(connection, objects), connection.org, match_field)


def describe_objects(connection: Connection, objects: Sequence[str]) -> Descriptions:
    """What describe tells of these objects."""
    with ThreadPoolExecutor(len(objects)) as pool:
        described = pool.map(lambda each: _describe(connection, each), objects)
        return dict(zip(objects, described, strict=True))


def layout_of(described: Descriptions, org: Org, match_field: str = "Id") -> Layout:
    """The fields that are used, out of what describe told; raises as `read_layout` does."""
    problems: list[str] = []
    layouts: dict[str, ObjectFields] = {}
    date_types: dict[str, str] = {}
    for name, description in described.items():
        if description is None:
            problems.append(f"the object {name} is missing or hidden")
            continue
        fields = description.fields
        own = _own_name if name != ACCOUNT else person_field
        wanted = _COLUMNS[name] | {"flag": own(org.flag_field), "flag_date": own(org.date_field)}
        wanted["match_value"] = _match_name(match_field, name)
        problems += [
            f"{name}.{each} is missing or hidden{_suggestion(each, fields)}"
            for each in dict.fromkeys(wanted.values())
            if each.lower() not in fields
        ]
        found = {column: fields.get(each.lower()) for column, each in wanted.items()}
        problems += _wrong_types(name, found)
        date = found["flag_date"]
        if date is not None and date.type in ("date", "datetime"):
            date_types[name] = date.type
        match, person = found["match_value"], fields.get("ispersonaccount")
        layouts[name] = ObjectFields(
            name,
            {column: each.name for column, each in found.items() if each is not None},
            match.type if match else "",
            person.name if person and name == CONTACT else None,
        )
    if len(set(date_types.values())) > 1:
        kinds = ", ".join(f"{name} {kind}" for name, kind in date_types.items())
        problems.append(f"the date field has several types ({kinds})")
    if problems:
        raise FieldsMissing(problems)
    return Layout(layouts, date_types[CONTACT] == "date")


def _own_name(name: str) -> str:
    return name


def _match_name(match_field: str, name: str) -> str:
    if name != ACCOUNT or match_field == "Id":
        return match_field
    return "PersonEmail" if match_field.lower() == "email" else person_field(match_field)


def _wrong_types(name: str, found: Mapping[str, Field | None]) -> list[str]:
    flag, date, match = found["flag"], found["flag_date"], found["match_value"]
    problems = []
    if flag and flag.type != "boolean":
        problems.append(f"{name}.{flag.name} is a {flag.type}, not a checkbox")
    if date and date.type not in ("date", "datetime"):
        problems.append(f"{name}.{date.name} is a {date.type}, not a Date or DateTime")
    if match and not match.filterable:
        problems.append(f"{name}.{match.name} can't be searched, so keys can't be matched on it")
    return problems


def _suggestion(name: str, fields: Mapping[str, Field]) -> str:
    """The same field under a package's namespace is the usual reason."""
    like = sorted(each.name for key, each in fields.items() if key.endswith("__" + name.lower()))
    return f" (is it {' or '.join(like)}?)" if like else ""


def _describe(connection: Connection, name: str) -> Described | None:
    what = f"describe of {name}"

    def read(answer: Answer) -> Described:
        body = answer.json()
        try:
            fields = [
                Field(
                    str(each["name"]),
                    str(each["type"]),
                    filterable=each.get("filterable") is not False,
                    updateable=each.get("updateable") is not False,
                )
                for each in body["fields"]
            ]
        except (KeyError, TypeError) as error:
            raise UnreadableAnswer(what, "no list of fields with name and type.") from error
        updateable = body.get("updateable") is not False
        return Described(updateable, {each.name.lower(): each for each in fields})

    try:
        return connection.request("GET", f"sobjects/{name}/describe", what=what, read=read)
    except RequestRejected as rejected:
        if rejected.status == 404:
            return None
        raise
