"""What must be true of each stored table: every rule once, for its check and for its readers.

A blocking asset check guards one run, not one asset (facts/dagster.md §0.1): a table that failed
stays in the lake, and a later or lone run would read it. So the same rules that the checks report
are asked again whenever a table is loaded, and a bad day is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import dagster as dg
import pandas as pd
import pandera.errors

from bounce_sync.assets.partitions import OFFSET
from bounce_sync.rules import guards, server_time
from bounce_sync.rules.guards import Verdict
from bounce_sync.rules.policy import SyncPolicy
from bounce_sync.rules.spikes import CALM_DAYS
from bounce_sync.storage import Lake
from bounce_sync.tables import TABLES

ALLOW_CHANGES = "bounce_sync/allow_changes"
ALLOW_DOMAINS = "bounce_sync/allow_domains"
ALLOW_MISMATCH = "bounce_sync/allow_mismatch"


def allowed_domains(tags: Mapping[str, str]) -> frozenset[str]:
    """The mail domains that a run's tags release from quarantine."""
    return frozenset(tags.get(ALLOW_DOMAINS, "").replace(",", " ").split())


class BadTable(Exception):
    """A stored table that breaks its contract; nothing may be built on it."""

    def __init__(self, asset: str, partition: str, broken: Mapping[str, Verdict]) -> None:
        self.broken = dict(broken)
        super().__init__(
            f"{asset} of {partition} breaks its contract and is refused: "
            + "; ".join(f"{name}: {verdict.message}" for name, verdict in broken.items())
            + f". Look at the check's page, mend the cause, and materialise {asset} of {partition} "
            "again."
        )


@dataclass(frozen=True)
class View:
    """One partition of one table, as a rule sees it, with what lies beside it in the lake."""

    lake: Lake
    asset: str
    partition: str
    tags: Mapping[str, str] = field(default_factory=dict)
    stricter: SyncPolicy | None = None
    """A policy given to the reader's own run: its limits hold where they are stricter."""
    run_id: str = ""

    @cached_property
    def frame(self) -> pd.DataFrame:
        return self.lake.read(self.asset, self.partition)

    def beside(self, asset: str) -> pd.DataFrame:
        """Another table of the same partition, unvalidated."""
        return self.lake.read(asset, self.partition)

    @property
    def policy(self) -> SyncPolicy:
        """The policy that the table was made under, tightened by the reader's."""
        policy = SyncPolicy.restore(self.frame.attrs["policy"])
        return policy.tightened_by(self.stricter) if self.stricter else policy


@dataclass(frozen=True)
class Rule:
    """Something that must hold, in words for the person who reads that it doesn't."""

    asset: str
    name: str
    judge: Callable[[View], Verdict]
    description: str
    recovery: str
    blocking: bool = True
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
    release: str | None = None
    """The run tag that releases it: such a rule is about a run, not about the table."""
    released_in_table: bool = False
    """The tag was heeded when the table was made; its rows say what was released."""

    def verdict(self, view: View) -> Verdict:
        """Passed, or failed with numbers; a released failure passes and says so."""
        verdict = self.judge(view)
        by_tag = self.release and not self.released_in_table and view.tags.get(self.release)
        if not verdict.passed and by_tag:
            return Verdict(
                True,
                f"Released by the run tag {self.release}. {verdict.message}",
                {**verdict.numbers, "released": 1},
            )
        return verdict


def _schema(view: View) -> Verdict:
    try:
        TABLES[view.asset].validate(view.frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        cases = errors.failure_cases.astype({"column": str, "check": str})
        counts = {
            f"{column}: {check}": len(rows)
            for (column, check), rows in cases.groupby(["column", "check"], dropna=False)
        }
        broken = ", ".join(f"{what} ({count})" for what, count in list(counts.items())[:5])
        return Verdict(False, f"not as the table's model says: {broken}", counts)
    return Verdict(True, f"{len(view.frame):,} rows as the table's model says.", {})


def _volume(view: View) -> Verdict:
    earlier = [day for day in view.lake.partitions(view.asset) if day < view.partition][-30:]
    return guards.usual_volume(
        len(view.frame), [view.lake.count(view.asset, day) for day in earlier]
    )


def _evidence(view: View) -> Verdict:
    missing = list(view.frame.attrs["missing_days"])
    if not missing:
        return Verdict(True, "Every day of the evidence window is in the lake.", {"missing": 0})
    return Verdict(
        False,
        f"{len(missing)} day(s) of the evidence window were never fetched: {', '.join(missing)}",
        {"missing": len(missing)},
    )


def _window(view: View) -> Verdict:
    return guards.evidence_window(
        view.frame, server_time.evidence_days(view.partition, view.policy), OFFSET
    )


def _rejections(view: View) -> Verdict:
    own = view.frame[view.frame["run_id"] == view.run_id] if view.run_id else view.frame
    rejected = own[own["outcome"].isin(["rejected", "unknown"])]
    codes = rejected["error_code"].fillna("no code").value_counts()
    return Verdict(
        rejected.empty,
        "Every write was taken."
        if rejected.empty
        else f"{len(rejected)} write(s) weren't taken: "
        + ", ".join(f"{code} ({count})" for code, count in codes.items()),
        {str(code): int(count) for code, count in codes.items()},
    )


def _read_back(view: View) -> Verdict:
    read = view.frame.attrs.get("read_back", {"compared": 0, "differing": 0})
    return Verdict(
        read["differing"] == 0,
        f"{read['compared']} written record(s) read again, {read['differing']} differ.",
        dict(read),
    )


_AGAIN = "Mend what made the rows, then materialise this asset and what lies below it again."
_WARN = dg.AssetCheckSeverity.WARN


def _guards(asset: str, or_run: str) -> tuple[Rule, ...]:
    """The rules about a run that carries out the plan in `asset`.

    `or_run` says how to release one without naming its tag; it may use the command's `{option}`.
    """

    def again(tag: str, value: str, option: str) -> str:
        return f"run again with the tag `{tag}` = {value}, or {or_run.format(option=option)}."

    return (
        Rule(
            asset,
            "change_volume_is_plausible",
            lambda view: guards.change_volume(view.frame, view.policy),
            "No more sets, and no more clears, than the policy's max_changes.",
            "Look at the plan. If it is right (a first run, a big clean-up), "
            + again(ALLOW_CHANGES, "`true`", "--allow-changes"),
            release=ALLOW_CHANGES,
        ),
        Rule(
            asset,
            "addresses_agree",
            lambda view: guards.addresses_agree(view.frame, view.policy),
            "Most CRM records have the address that SFMC knows: this is the right org.",
            "Check the org and whether it is a masked sandbox. If all is right, "
            + again(ALLOW_MISMATCH, "`true`", "--allow-mismatch"),
            release=ALLOW_MISMATCH,
        ),
        Rule(
            asset,
            "no_domain_spike",
            lambda view: guards.domain_spikes(view.frame, view.frame.attrs.get("decided_days")),
            "No mail domain exploded: that looks like an outage at the provider, not like dead "
            "mailboxes.",
            "The domain's sets wait, and are taken up once it was calm for "
            f"{CALM_DAYS} decided days. If its mailboxes are really gone, "
            + again(ALLOW_DOMAINS, "the domain", "--allow-domain DOMAIN"),
            blocking=False,
            release=ALLOW_DOMAINS,
            released_in_table=True,
        ),
    )


RULES: tuple[Rule, ...] = (
    *(
        Rule(
            asset,
            "schema",
            _schema,
            "Columns, types, keys and allowed values are as the table's model says.",
            _AGAIN,
        )
        for asset in TABLES
    ),
    *(
        Rule(
            asset,
            "subscriber_key_is_unique",
            lambda view: guards.unique_keys(view.frame),
            "No subscriber key stands in two rows.",
            _AGAIN,
        )
        for asset in ("held_subscribers", "confirmed_bounce_staging")
    ),
    *(
        Rule(
            asset,
            "volume_is_usual",
            _volume,
            "The number of rows is like that of the days before; zero rows is a finding.",
            "Compare with SFMC's tracking of that day; if it shows more, materialise it again.",
            blocking=False,
            severity=_WARN,
        )
        for asset in ("raw_bounces", "held_subscribers")
    ),
    Rule(
        "confirmed_bounce_staging",
        "bounce_reason_is_truncated",
        lambda view: guards.reason_length(view.frame, view.policy),
        "No bounce reason is longer than the policy's reason_length.",
        _AGAIN,
    ),
    Rule(
        "confirmed_bounce_staging",
        "only_held_subscribers",
        lambda view: guards.only_held(view.frame, view.beside("held_subscribers")),
        "Every staged key is Held: a bounce alone never flags anyone.",
        "Materialise held_subscribers and confirmed_bounce_staging of this day together.",
    ),
    Rule(
        "confirmed_bounce_staging",
        "bounces_lie_in_the_evidence_window",
        _window,
        "Every bounce lies in the evidence window, or was carried over from a day when it did.",
        _AGAIN,
    ),
    Rule(
        "confirmed_bounce_staging",
        "evidence_is_complete",
        _evidence,
        "Every day of the evidence window was fetched; a missing day could hide a bounce.",
        "Backfill raw_bounces for the days named here, then materialise this asset again.",
        blocking=False,
        severity=_WARN,
    ),
    Rule(
        "crm_flag_changes",
        "every_key_is_accounted_for",
        lambda view: guards.accounted_for(
            view.frame, view.beside("confirmed_bounce_staging"), view.beside("crm_flag_state")
        ),
        "Each staged key has a decision, and each flagged record exactly one.",
        "Materialise the day from confirmed_bounce_staging on; if it fails again, report a bug.",
    ),
    *_guards("crm_flag_changes", "`bounce-sync run {option}`"),
    *_guards("crm_drift", "`bounce-sync drift --mend {option}`"),
    Rule(
        "crm_drift",
        "every_key_is_accounted_for",
        lambda view: guards.drift_accounted_for(
            view.frame, view.frame.attrs["held"], view.frame.attrs["flagged"]
        ),
        "Each Held key is in the report, and each flagged record has exactly one decision.",
        "Materialise crm_drift again; if it fails again, report a bug.",
    ),
    Rule(
        "crm_drift",
        "crm_agrees_with_marketing_cloud",
        lambda view: guards.agreement(view.frame),
        "Nothing is left to mend: every flag and date is as SFMC and the policy say.",
        "Look at the findings on the asset's page, then mend: the job `mend_crm_drift`, or "
        "`bounce-sync drift --mend`.",
        blocking=False,
        severity=_WARN,
    ),
    *(
        Rule(
            asset,
            "no_update_was_rejected",
            _rejections,
            "The CRM took every write.",
            "The codes say why; `bounce-sync explain RECORD` shows one record. Rejected keys are "
            f"planned again {when}.",
            blocking=False,
            severity=_WARN,
        )
        for asset, when in (("crm_flag_updates", "tomorrow"), ("crm_drift_updates", "next time"))
    ),
    *(
        Rule(
            asset,
            "crm_reads_back_as_written",
            _read_back,
            "Records read again after the write hold what was written.",
            "Something in the CRM changes our fields on save: look for a flow or trigger on them.",
            blocking=False,
        )
        for asset in ("crm_flag_updates", "crm_drift_updates")
    ),
)


def rules_of(asset: str) -> list[Rule]:
    return [rule for rule in RULES if rule.asset == asset]


def load(lake: Lake, asset: str, partition: str) -> pd.DataFrame:
    """A stored table that keeps its contract.

    Raises:
        MissingTable: the partition was never stored.
        BadTable: a blocking rule about the table doesn't hold.
    """
    view = View(lake, asset, partition)
    broken: dict[str, Verdict] = {}
    for rule in rules_of(asset):
        if rule.blocking and rule.release is None:
            verdict = rule.verdict(view)
            if not verdict.passed:
                broken[rule.name] = verdict
                break  # the other rules may lean on what this one found broken
    if broken:
        raise BadTable(asset, partition, broken) from None
    return view.frame


def demand_guards(view: View) -> dict[str, Any]:
    """The guards about a run, asked again by the writer. Returns what was released.

    Raises:
        BadTable: a guard stops the run.
    """
    verdicts = {
        rule: rule.verdict(view) for rule in rules_of(view.asset) if rule.release is not None
    }
    broken = {r.name: v for r, v in verdicts.items() if r.blocking and not v.passed}
    if broken:
        raise BadTable(view.asset, view.partition, broken) from None
    return {rule.name: v.message for rule, v in verdicts.items() if v.numbers.get("released")}
