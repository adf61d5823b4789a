"""A day and what the CRM says → the text of the page. Everything is escaped by the template."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import jinja2
import pandas as pd

from bounce_sync import pictures
from bounce_sync.report.day import Day
from bounce_sync.report.reachability import Reachability
from bounce_sync.rules import confirmation
from bounce_sync.salesforce import links
from bounce_sync.salesforce.errors import remedy_of_row
from bounce_sync.tables import REASONS

MOST_ROWS = 200
"""Records that a list shows; the rest is counted."""
MOST_OWNERS = 50

NameOf = Callable[[object], str]
Cell = dict[str, str]

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("bounce_sync", "report"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(
    day: Day,
    *,
    reachability: Reachability | None,
    belonging: pd.DataFrame,
    name_of: NameOf,
    trend: pd.DataFrame,
    notes: list[str],
    made_at: datetime,
    is_rehearsal: bool,
    with_addresses: bool = False,
) -> str:
    """The page as HTML.

    `belonging` has owner_id and account_id by record_id; `trend` counts per day and action; without
    `reachability` its tables are left out, and `notes` say why.
    """
    lists = _Lists(day.instance_url, belonging, name_of, with_addresses)
    return _TEMPLATES.get_template("page.html").render(
        partition=day.partition,
        headline=_headline(day),
        made_at=f"{made_at:%Y-%m-%d %H:%M}",
        run_ids=[run_id[:8] for run_id in day.run_ids],
        is_rehearsal=is_rehearsal,
        tiles=_tiles(day, reachability),
        naive=day.naive,
        flagged=[
            _named(f"{name}s", links.flagged(day.instance_url, name)) for name in links.LIST_VIEWS
        ],
        refreshed=day.refreshed,
        notes=[*notes, *(reachability.notes if reachability else ())],
        **_shares(reachability, day.instance_url, name_of),
        sections=_sections(day, lists),
        left=[
            {"count": count, "reason": reason, "meaning": REASONS[reason]}
            for reason, count in day.left.items()
        ],
        left_total=sum(day.left.values()),
        pictures=_pictures(day, trend),
    )


def _headline(day: Day) -> str:
    new, released = len(day.new), len(day.released)
    if not new and not released:
        return f"{day.partition}: nothing changed in who can be reached by e-mail"
    return (
        f"{day.partition}: {new:,} can no longer be reached by e-mail, {released:,} are flagged no "
        "more"
    )


def _tiles(day: Day, reachability: Reachability | None) -> list[dict[str, str]]:
    tiles = [
        ("new", f"{len(day.new):,}", "newly flagged"),
        ("released", f"{len(day.released):,}", "flagged no more"),
        ("conflicts", f"{len(day.conflicts):,}", "changed by hand, left"),
        ("quarantined", f"{len(day.quarantined):,}", "waiting: outage?"),
        ("refused", f"{len(day.refused):,}", "refused by the CRM"),
    ]
    if reachability is not None:
        all_of_them = reachability.objects.sum()
        share = _reachable(int(all_of_them["with_email"]), int(all_of_them["flagged"]))
        tiles.insert(0, ("reachability", share, "of all records with e-mail can be reached"))
    return [{"anchor": anchor, "number": number, "text": text} for anchor, number, text in tiles]


def _shares(reachability: Reachability | None, url: str, name_of: NameOf) -> dict[str, Any]:
    if reachability is None:
        return {"objects": [], "owners": [], "accounts": [], "owners_more": "", "accounts_more": ""}
    more = len(reachability.owners) - MOST_OWNERS
    return {
        "objects": _share_rows(reachability.objects, lambda name: _text(f"{name}s")),
        "owners": _share_rows(
            reachability.owners.head(MOST_OWNERS),
            lambda owner: _named(name_of(owner), links.record(url, "User", owner)),
        ),
        "accounts": _share_rows(
            reachability.accounts,
            lambda account: _named(name_of(account), links.record(url, "Account", account)),
        ),
        "owners_more": f"{more:,} more owners have fewer flagged records." if more > 0 else "",
        "accounts_more": "The Accounts with the most flagged Contacts."
        if len(reachability.accounts)
        else "",
    }


def _share_rows(counts: pd.DataFrame, name: Callable[[str], Cell]) -> list[dict[str, Any]]:
    return [
        {
            "name": name(str(index)),
            "with_email": int(row["with_email"]),
            "flagged": int(row["flagged"]),
            "reachable": _reachable(int(row["with_email"]), int(row["flagged"])),
            "percent": f"{100 * row['flagged'] / max(row['with_email'], 1):.1f}",
        }
        for index, row in counts.iterrows()
    ]


def _reachable(with_email: int, flagged: int) -> str:
    return f"{1 - flagged / with_email:.1%}" if with_email else "none"


class _Lists:
    """Records as rows of links, names and dates."""

    def __init__(
        self, url: str, belonging: pd.DataFrame, name_of: NameOf, with_addresses: bool
    ) -> None:
        self._url, self._belonging, self._name_of = url, belonging, name_of
        self._with_addresses = with_addresses

    @property
    def columns(self) -> list[str]:
        return ["record", "owner", "Account", "last bounce (UTC)"] + (
            ["e-mail"] if self._with_addresses else []
        )

    def rows(self, records: pd.DataFrame, *more: str) -> list[list[Cell]]:
        """The common columns, and `more` columns of the frame: each owner's records together."""
        shown = records.head(MOST_ROWS).join(self._belonging, on="record_id")
        shown = shown.assign(owner=shown["owner_id"].map(self._name_of)).sort_values(
            "owner", kind="stable"
        )
        return [
            [
                _named(
                    f"{row.object} {row.record_id}",
                    links.record(self._url, str(row.object), str(row.record_id)),
                ),
                _text(row.owner),
                _text(self._name_of(row.account_id)),
                _day(row.bounced_at),
                *([_text(row.email)] if self._with_addresses else []),
                *(_text(getattr(row, name)) for name in more),
            ]
            for row in shown.itertuples()
        ]


def _sections(day: Day, lists: _Lists) -> list[dict[str, Any]]:
    def records(
        anchor: str,
        title: str,
        text: str,
        found: pd.DataFrame,
        more: Mapping[str, str],
        notes: Sequence[str] = (),
    ) -> dict[str, Any]:
        return {
            "anchor": anchor,
            "title": title,
            "text": text,
            "total": len(found),
            "more": max(0, len(found) - MOST_ROWS),
            "columns": [*lists.columns, *more.values()],
            "rows": lists.rows(found, *more),
            "notes": notes,
        }

    domains = day.quarantined["domain"].value_counts()
    return [
        records(
            "new",
            "Newly flagged",
            "Marketing Cloud has given up on these addresses. Ask for another address, or call.",
            day.new,
            {"category": "bounce"},
            _let_through(day.new),
        ),
        records(
            "released",
            "Flagged no more",
            "Marketing Cloud mails these addresses again, or the record has another address by "
            "now, or none. The date stays as history.",
            day.released.assign(reason=day.released["reason"].map(REASONS)),
            {"reason": "why"},
        ),
        records(
            "conflicts",
            "Changed by hand",
            "Somebody changed the flag after it was written. It stays as the person left it, until "
            "a newer bounce arrives. Is it right?",
            day.conflicts,
            {"status": "Marketing Cloud says"},
        ),
        {
            "anchor": "quarantined",
            "title": "Waiting, because it looks like an outage",
            "text": "Far more addresses of these mail domains than usual. Nothing was written for "
            "them; they are looked at again every day. If the mailboxes are really gone, whoever "
            "runs the sync can let a domain through.",
            "total": len(day.quarantined),
            "more": 0,
            "columns": ["mail domain", "records"],
            "rows": [[_text(domain), _text(f"{n:,}")] for domain, n in domains.items()],
            "notes": (),
        },
        records(
            "refused",
            "Refused by the CRM",
            "These couldn't be written. They are tried again with the next run; the code says what "
            "stands in the way.",
            day.refused,
            {"outcome": "outcome", "error_code": "code"},
            [
                f"{code}: {remedy_of_row(code).advice}"
                for code in day.refused["error_code"].value_counts().index
            ],
        ),
    ]


def _let_through(new: pd.DataFrame) -> list[str]:
    """Of those that a quarantine would have kept, had nobody released it."""
    released = new[new["reason"] == "domain_allowed"]
    if released.empty:
        return []
    domains = ", ".join(f"{name} ({n:,})" for name, n in released["domain"].value_counts().items())
    return [
        f"{len(released):,} of these looked like an outage, and whoever runs the sync let them "
        f"through: {domains}."
    ]


def _pictures(day: Day, trend: pd.DataFrame) -> list[dict[str, str]]:
    steps = confirmation.in_words(day.funnel)
    wrong = confirmation.FUNNEL["naive_false_flags"]
    drawn = {"This day": pictures.bars(steps, wrong=wrong, dpi=pictures.PRINT)}
    if len(trend) > 1:
        drawn["Planned changes over the last days"] = pictures.stacked_days(
            trend, dpi=pictures.PRINT
        )
    return [
        {"title": title, "source": f"data:image/png;base64,{base64.b64encode(png).decode()}"}
        for title, png in drawn.items()
    ]


def _named(text: str, href: str) -> Cell:
    return {"text": text, "href": href}


def _text(value: object) -> Cell:
    return {"text": value if isinstance(value, str) else "", "href": ""}


def _day(at: object) -> Cell:
    return _text(f"{at:%Y-%m-%d}" if isinstance(at, pd.Timestamp) else "")
