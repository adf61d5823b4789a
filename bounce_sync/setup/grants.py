"""What a permission set in the org lacks of the shipped one, and the two put together.

Nothing that the org's set grants is taken back: a deployment replaces the whole set, so it is given
everything that is there and ours.
"""

from __future__ import annotations

from copy import deepcopy

from lxml import etree

KEYS = {"fieldPermissions": "field", "objectPermissions": "object", "userPermissions": "name"}
"""Kind of grant → what it is about."""

_Grants = dict[tuple[str, str], etree._Element]


def lacking(there: etree._Element, wanted: etree._Element) -> list[str]:
    """Grants of `wanted` that `there` doesn't give, as ``Contact.Email readable``."""
    known = _grants(there)
    return [
        f"{about} {right}"
        for (kind, about), grant in _grants(wanted).items()
        for right in sorted(_rights(grant) - _rights(known.get((kind, about))))
    ]


def merged(there: etree._Element, wanted: etree._Element) -> etree._Element:
    """The set that is there with the grants of `wanted` added, in the schema's order."""
    result = deepcopy(wanted)
    result[:] = [deepcopy(each) for each in there if _name(each) != "fullName"]
    known = _grants(result)
    for key, grant in _grants(wanted).items():
        if key not in known:
            result.append(deepcopy(grant))
            continue
        for right in _rights(grant):
            _set(known[key], right)
    result[:] = sorted(result, key=_name)
    return result


def _grants(root: etree._Element) -> _Grants:
    return {
        (kind, each.findtext(f"{{*}}{about}") or ""): each
        for kind, about in KEYS.items()
        for each in root.iterfind(f"{{*}}{kind}")
    }


def _rights(grant: etree._Element | None) -> set[str]:
    """The names of what a grant gives."""
    return set() if grant is None else {_name(each) for each in grant if each.text == "true"}


def _set(grant: etree._Element, right: str) -> None:
    found = grant.find(f"{{*}}{right}")
    if found is None:
        found = etree.SubElement(grant, etree.QName(etree.QName(grant).namespace, right))
        grant[:] = sorted(grant, key=_name)
    found.text = "true"


def _name(each: etree._Element) -> str:
    return etree.QName(each).localname
