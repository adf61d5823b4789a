"""What must be true of each stored table: every rule once, for its check and for its readers."""

from __future__ import annotations

import dagster as dg
import pandera.errors

from bounce_sync.assets.partitions import OFFSET
from bounce_sync.assets.rule import ALLOW_CHANGES, ALLOW_DOMAINS, ALLOW_MISMATCH, Rule, View
from bounce_sync.rules import guards, server_time
from bounce_sync.rules.guards import Verdict
from bounce_sync.rules.spikes import CALM_DAYS
from bounce_sync.tables import TABLES


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
            "Compare with SFMC's tracking of that day; if it shows more, run the day again.",
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
        "Backfill raw_bounces for the days named here, then run this day again.",
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
