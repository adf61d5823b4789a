"""SFMC_HELD=by_key, for tenants without a filter by status: nobody who may be judged is missed."""

from __future__ import annotations

from pathlib import Path

from bounce_sync_tests.installation import installed
from bounce_sync_tests.tenant import Tenant, day_before, last_day

DAY = last_day()
WEEKS_AGO = day_before(DAY, 20)


def test_it_asks_for_everybody_whom_a_run_may_judge(tmp_path: Path) -> None:
    tenant = Tenant()
    flagged = {"Hard_Bounce__c": "true", "Hard_Bounce_Date__c": "2026-02-01T00:00:00Z"}
    gone = tenant.subscriber(tenant.contact(), "Held")
    tenant.bounce(gone, DAY)
    refused = tenant.subscriber(tenant.lead(), "Held")
    tenant.bounce(refused, WEEKS_AGO)
    still_held = tenant.subscriber(tenant.contact(**flagged), "Held")
    back = tenant.subscriber(tenant.contact(**flagged), "Active")
    tenant.subscriber(tenant.contact(), "Held")  # without a bounce: nobody asks
    with installed(tenant, tmp_path, SFMC_HELD="by_key") as here:
        with here.store() as store:
            store.execute(
                "INSERT INTO crm_refusal (record_id, code, message) VALUES (?, 'A_TRIGGER', 'no')",
                (refused,),
            )
        here.has_fetched_nothing_before(WEEKS_AGO)
        assert here.run(WEEKS_AGO).line()["rejected"] == 1
        with here.store() as store:
            store.execute("DELETE FROM crm_refusal")
        here.has_fetched_nothing_before(DAY)
        line = here.run(DAY).line()
        flags = {record: flag for record, (flag, _) in here.flags().items()}
    assert flags.items() >= {gone: True, refused: True, still_held: True, back: False}.items()
    assert sum(flags.values()) == 3
    assert line["held_subscribers"] == 3
