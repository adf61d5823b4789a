"""What the CRM needs, held against what it has. Pure: reading and making is `crm`'s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lxml import etree

from bounce_sync.setup.components import (
    FIELD,
    LIST_VIEW,
    PERMISSION_SET,
    READER,
    REPORT,
    REPORT_FOLDER,
    REPORT_TYPE,
    WRITER,
    Component,
    Names,
)
from bounce_sync.setup.grants import lacking
from bounce_sync.setup.layouts import LABEL, LAYOUT
from bounce_sync.setup.steps import CRM, State, Step
from bounce_sync.tables import CONTACT, LEAD

ASSIGNMENT, MAPPING = "Assignment", "Lead mapping"
OBJECTS = (CONTACT, LEAD)

_FLAG_TYPES, _DATE_TYPES = ("Checkbox",), ("DateTime", "Date")
_WHY = {
    LIST_VIEW: "sales finds the flagged records; the asset's page in Dagster links to it",
    REPORT_TYPE: "what the report is made of",
    REPORT_FOLDER: "where the reports lie, for everybody in the org to see",
    REPORT: "who can't be reached, to work through",
}
_WHY_SETS = {
    WRITER: "the integration user may read what the sync compares and edit the two fields",
    READER: "sales may see the two fields",
}
_READER_CLICKS = (
    "Setup › Permission Sets › {reader} › Manage Assignments › Add Assignment: everybody who is to"
    " see the fields, administrators too. Until then the layouts, list views and reports show them"
    " to nobody."
)
_MAP_CLICKS = (
    "Setup › Object Manager › Lead › Fields & Relationships › Map Lead Fields › Contact: map {flag}"
    " and {date} to the Contact's own. Without it the Contact of a converted Lead gets its flag"
    " from the next daily run."
)
_LAYOUT_CLICKS = (
    "{lacking} of {all} page layouts don't show the fields. Setup › Object Manager › {object} ›"
    " Page Layouts › the layout › drag in a Section '{label}' and the two fields, read-only › Save;"
    " or run with --layouts. Pages with Dynamic Forms get the fields in Lightning App Builder."
)


@dataclass(frozen=True)
class Found:
    """What the org has of what is wanted."""

    components: Mapping[tuple[str, str], etree._Element] = field(default_factory=dict)
    """Kind and full name in lower case → its metadata: to the CRM case makes no difference."""
    layouts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Full name of each Contact and Lead layout → the fields it shows."""
    lead_mapping: frozenset[tuple[str, str]] = frozenset()
    """Custom Lead field and the Contact field that it is mapped to."""
    assigned: bool = False
    """Whether the integration user has the writer's permission set."""
    read_by_somebody: bool = False
    """Whether anybody has the reader's."""

    def metadata(self, kind: str, full_name: str) -> etree._Element | None:
        """What is there under this name; None if there is nothing."""
        return self.components.get((kind, full_name.lower()))


def as_there(found: Found, names: Names) -> Names:
    """The names as the org spells them, and the type of a date field to be made: that of the
    other object's, as both have to be of one.

    A deployment that spells a field otherwise than the org is refused.
    """

    def there(name: str) -> list[etree._Element]:
        fields = (found.metadata(FIELD, f"{owner}.{name}") for owner in OBJECTS)
        return [each for each in fields if each is not None]

    def spelt(name: str) -> str:
        own = [each.findtext("{*}fullName") or "" for each in there(name)]
        return own[0].rpartition(".")[2] if own else name

    is_day = "Date" in map(_type, there(names.date_field))
    return replace(
        names,
        flag_field=spelt(names.flag_field),
        date_field=spelt(names.date_field),
        date_type="Date" if is_day else "DateTime",
    )


def plan(
    wanted: Sequence[Component], found: Found, names: Names, user_id: str, *, layouts: bool
) -> list[Step]:
    """Every step of the CRM's set-up. With `layouts` the section is made, without it described."""
    steps = [_component(each, found, names) for each in wanted]
    order = (FIELD, PERMISSION_SET, LIST_VIEW, REPORT_TYPE, REPORT_FOLDER, REPORT)
    steps.sort(key=lambda step: order.index(step.kind))
    assignment = Step(
        CRM,
        ASSIGNMENT,
        f"{WRITER} to user {user_id}",
        "the user that the daily sync logs in as; --integration-user names another",
        State.THERE if found.assigned else State.MISSING,
    )
    after = 1 + max(n for n, step in enumerate(steps) if step.kind == PERMISSION_SET)
    return [
        *steps[:after],
        assignment,
        *steps[after:],
        _readers(found),
        *_layouts(found, names, make=layouts),
        _mapping(found, names),
    ]


def _component(wanted: Component, found: Found, names: Names) -> Step:
    there = found.metadata(*wanted.key)
    state, note = State.THERE if there is not None else State.MISSING, ""
    why = _WHY.get(wanted.kind, "")
    if wanted.kind == FIELD:
        owner, _, name = wanted.full_name.partition(".")
        is_flag = name == names.flag_field
        why = f"the flag of a {owner}" if is_flag else "when the newest bounce happened"
        if there is not None:
            note = _unfit(there, owner, name, _FLAG_TYPES if is_flag else _DATE_TYPES)
        elif not _is_makeable(name):
            note = f"{name} isn't a custom field of the org's own: install its package, or name "
            note += "another in SALESFORCE_FLAG_FIELD and SALESFORCE_DATE_FIELD."
        state = State.DIFFERS if note else state
    elif wanted.kind == PERMISSION_SET:
        why = _WHY_SETS[wanted.full_name]
        if there is not None and (lack := lacking(there, wanted.root)):
            state, note = State.MISSING, f"it lacks {', '.join(lack)}; the rest of it stays"
    return Step(CRM, wanted.kind, wanted.full_name, why, state, note)


def _is_makeable(name: str) -> bool:
    """``X__c``, not ``X`` nor ``package__X__c``."""
    return name.endswith("__c") and "__" not in name.removesuffix("__c")


def _type(there: etree._Element) -> str | None:
    return there.findtext("{*}type")


def _unfit(there: etree._Element, owner: str, name: str, types: tuple[str, ...]) -> str:
    """Why a field that is there can't be used, and what to do; empty for one that can."""
    kind = _type(there)
    if kind not in types:
        wrong = f"it is a {kind}, and has to be a {' or '.join(types)}"
    elif there.findtext("{*}formula"):
        wrong = "it is a formula, which nobody can write"
    else:
        return ""
    return (
        f"{wrong}. It isn't changed: name another field in SALESFORCE_FLAG_FIELD or "
        f"SALESFORCE_DATE_FIELD, or rename it in Setup › Object Manager › {owner} › "
        f"Fields & Relationships › {name}, and run setup again."
    )


def _readers(found: Found) -> Step:
    """Who belongs to sales is a person's to say."""
    return Step(
        CRM,
        ASSIGNMENT,
        f"{READER} to sales",
        "a field made by the API is hidden from everybody",
        State.THERE if found.read_by_somebody else State.BY_HAND,
        "" if found.read_by_somebody else _READER_CLICKS.format(reader=READER),
    )


def _layouts(found: Found, names: Names, *, make: bool) -> list[Step]:
    fields = {names.flag_field, names.date_field}
    why = "reps see it on the record"
    steps = []
    for owner in OBJECTS:
        of_object = {name: on for name, on in found.layouts.items() if name.startswith(f"{owner}-")}
        lack = [name for name, on in of_object.items() if not fields <= on]
        if make:
            states = {name: State.MISSING if name in lack else State.THERE for name in of_object}
            steps += [Step(CRM, LAYOUT, name, why, state) for name, state in states.items()]
            continue
        clicks = _LAYOUT_CLICKS.format(
            lacking=len(lack), all=len(of_object), object=owner, label=LABEL
        )
        state = State.BY_HAND if lack else State.THERE
        steps.append(Step(CRM, LAYOUT, f"of {owner}", why, state, clicks if lack else ""))
    return steps


def _mapping(found: Found, names: Names) -> Step:
    wanted = {(each, each) for each in (names.flag_field, names.date_field)}
    mapped = wanted <= found.lead_mapping
    return Step(
        CRM,
        MAPPING,
        "to Contact",
        "a flagged Lead that is converted hands its flag on at once",
        State.THERE if mapped else State.BY_HAND,
        "" if mapped else _MAP_CLICKS.format(flag=names.flag_field, date=names.date_field),
    )
