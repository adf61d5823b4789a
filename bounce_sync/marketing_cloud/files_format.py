"""How SFMC's exports are written and named: SFMC_FILES_FORMAT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any, Literal

from bounce_sync.marketing_cloud.delimited import Shape

Kind = Literal["bounces", "subscribers", "staging"]
KINDS: tuple[Kind, ...] = ("staging", "subscribers", "bounces")
"""In the order in which a name is tried: the staging's may well speak of bounces."""

_PACKED = (".gz", ".zip")

TRACKING_EXTRACT = (
    "ClientID", "SendID", "SubscriberKey", "EmailAddress", "SubscriberID", "ListID", "EventDate",
    "EventType", "BounceCategory", "SMTPCode", "BounceReason", "BatchID",
    "TriggeredSendExternalKey",
)  # fmt: skip
"""Columns of the bounces of a tracking extract, in order (HELP/mktg.mc_as_bounces.htm)."""

STAGING_EXPORT = (
    "SubscriberKey", "EmailAddress", "BounceCategory", "SMTPCode", "BounceReason", "BounceDate",
)  # fmt: skip

_SAID = {str: "a text", bool: "true or false", float: "a number of at least 0"}


@dataclass(frozen=True)
class FilesFormat:
    """SFMC_FILES_FORMAT: how the files are written and named.

    Names are matched without case and without .gz or .zip; `marker` is a suffix of a file that says
    that its neighbour is whole. `dated` says what the date in a name is: the day of the `content`,
    or the day of the `extraction`, after the content's. `columns` names the columns of files
    without a header, by kind. `releases` says who tells the status of subscribers that the files
    don't name: `files` (nobody: they are not judged) or `soap`.
    """

    delimiter: str = ","
    header: bool = True
    encoding: str = "utf-8"
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    bounces: str = "*bounces*"
    subscribers: str = "*subscribers*"
    staging: str = "*staging*"
    dated: Literal["content", "extraction"] = "content"
    marker: str = ""
    releases: Literal["files", "soap"] = "files"
    max_age_hours: float = 48.0
    settle_seconds: float = 5.0
    wait_seconds: float = 300.0

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> FilesFormat:
        """The format of a JSON object. Raises `ValueError` naming everything wrong with it."""
        known = {each.name: each for each in fields(cls)}
        wrong = [
            f"{name!r} isn't known ({', '.join(known)})" for name in given.keys() - known.keys()
        ]
        wrong += [
            f"{name} is {_SAID[type(each.default)]}"
            for name, each in known.items()
            if name in given and not _is_like(given[name], each.default)
        ]
        columns = given.get("columns", {})
        if not isinstance(columns, Mapping) or not all(
            kind in KINDS and isinstance(names, list) and all(isinstance(n, str) for n in names)
            for kind, names in columns.items()
        ):
            wrong.append(f"columns holds lists of names for {', '.join(KINDS)}")
        delimiter = given.get("delimiter", ",")
        if len(str(delimiter)) != 1 or str(delimiter) in '"\r\n':
            wrong.append("delimiter is one character, no quote and no line break")
        for name, allowed in (
            ("dated", ("content", "extraction")),
            ("releases", ("files", "soap")),
        ):
            if given.get(name, allowed[0]) not in allowed:
                wrong.append(f"{name} is one of {', '.join(allowed)}")
        try:
            "".encode(str(given.get("encoding", "utf-8")))
        except LookupError:
            wrong.append(f"encoding {given['encoding']!r} isn't known")
        if wrong:
            raise ValueError("; ".join(wrong))
        return cls(**given)

    def shape(self, kind: Kind) -> Shape:
        """How files of this kind are written."""
        usual = {"bounces": TRACKING_EXTRACT, "staging": STAGING_EXPORT}.get(kind, ())
        columns = tuple(self.columns.get(kind, usual))
        return Shape(self.delimiter, self.header, self.encoding, columns)

    def kind(self, name: str) -> Kind | None:
        """What the file of this name holds; None for a file that is none of ours."""
        plain = name.lower()
        if plain.startswith(".") or (self.marker and name.endswith(self.marker)):
            return None
        plain = next((plain.removesuffix(end) for end in _PACKED if plain.endswith(end)), plain)
        patterns = {kind: getattr(self, kind).lower() for kind in KINDS}
        return next((kind for kind in KINDS if fnmatchcase(plain, patterns[kind])), None)


def _is_like(value: Any, default: Any) -> bool:
    """Whether JSON's `value` may stand where `default` does; what has no default looks after
    itself."""
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return not isinstance(default, str | bool) or isinstance(value, type(default))
