"""Query activities over REST: created, started, watched, and what a failed one leaves behind."""

import re
import time
from pathlib import Path
from typing import Any

import pytest

from bounce_sync.sandbox.faults import Faults
from bounce_sync.sandbox.store import DataExtensionField, Store
from bounce_sync_tests.sandbox_marketing_cloud.service import Host, Service
from bounce_sync_tests.sandbox_marketing_cloud.tenant import bounce, subscriber

NOW = "2026-03-10 09:30:15.250"
STAGING = "Hard_Bounce_Staging_DE"
ARTICLE = """
/* Pulls confirmed hard bounces */
SELECT DISTINCT
    b.SubscriberKey,
    b.EmailAddress,
    b.BounceCategory,
    b.SMTPCode,
    LEFT(b.SMTPBounceReason, 500) AS BounceReason,
    b.EventDate                 AS BounceDate

FROM   _Bounce         b
JOIN   _Subscribers    s  ON  b.SubscriberKey = s.SubscriberKey

WHERE
    b.BounceCategory = 'Hard bounce'
    AND s.Status     = 'Held'
    AND b.EventDate >= DATEADD(day, -1, GETDATE())
    AND b.EventDate <  GETDATE()
"""
CORRECTED = """
SELECT x.SubscriberKey, x.EmailAddress, x.BounceCategory, x.SMTPCode, x.BounceReason, x.BounceDate
FROM ( SELECT b.SubscriberKey, s.EmailAddress, b.BounceCategory, b.SMTPCode,
              LEFT(b.SMTPBounceReason, 500) AS BounceReason, b.EventDate AS BounceDate,
              ROW_NUMBER() OVER (PARTITION BY b.SubscriberKey
                                 ORDER BY b.EventDate DESC, b.JobID DESC) AS rn
       FROM _Bounce b JOIN ENT._Subscribers s ON s.SubscriberID = b.SubscriberID
       WHERE s.Status = 'held' AND b.BounceCategory = 'Hard bounce'
         AND b.EventDate >= DATEADD(day, -2, GETDATE()) ) x
WHERE x.rn = 1
"""


@pytest.fixture(autouse=True)
def tenant(store: Store) -> None:
    store.set_setting("today", NOW)
    subscriber(store, 1, "held", "Held")
    subscriber(store, 2, "active", "Active")
    for minute in (1, 2):
        at = f"2026-03-09 10:0{minute}:00.000"
        bounce(store, "held", at, subscriber_id=1, smtp_bounce_reason="x" * 4001)
        bounce(store, "active", at, subscriber_id=2)


def create(service: Service, text: str, **more: Any) -> Any:
    body = {
        "name": "q",
        "key": "q",
        "queryText": text,
        "targetKey": STAGING,
        "targetUpdateTypeId": 0,
        "categoryId": 1,
    } | more
    return service.rest("POST", "/automation/v1/queries", json=body)


def run(service: Service, query_id: str) -> None:
    """Starts it and waits for its end."""
    path = f"/automation/v1/queries/{query_id}/actions"
    assert service.rest("POST", f"{path}/start/").json() == "OK"
    deadline = time.monotonic() + 20
    while service.rest("GET", f"{path}/isrunning/").json()["isRunning"]:
        assert time.monotonic() < deadline, "the query doesn't end"


def started(service: Service, text: str, **more: Any) -> str:
    made = create(service, text, **more)
    assert made.status_code == 200, made.text
    query_id = made.json()["queryDefinitionId"]
    run(service, query_id)
    return query_id


def rowset(service: Service, key: str = STAGING) -> list[dict[str, Any]]:
    said = service.rest("GET", f"/data/v1/customobjectdata/key/{key}/rowset?$pageSize=2500")
    assert said.status_code == 200, said.text
    return [row["keys"] | row["values"] for row in said.json().get("items", [])]


def log(service: Service, query_id: str) -> list[str]:
    said = service.rest("GET", f"/automation/v1/queries/{query_id}/log").json()
    return [entry["message"] for entry in said]


class TestTheArticle:
    def test_its_query_is_the_one_that_it_prints(self) -> None:
        assert re.search(r"b\.EmailAddress", ARTICLE)

    def test_its_query_is_refused_for_a_column_that_bounces_do_not_have(
        self, service: Service
    ) -> None:
        refused = create(service, ARTICLE)
        assert refused.status_code == 400
        assert refused.json()["message"] == "Invalid column name 'EmailAddress'."
        valid = service.rest(
            "POST",
            "/automation/v1/queries/actions/validate",
            json={"Text": ARTICLE, "targetKey": STAGING},
        ).json()
        assert valid["queryValid"] is False
        assert valid["errors"] == [{"message": "Invalid column name 'EmailAddress'."}]

    def test_without_that_column_two_bounces_of_one_subscriber_fail_it(
        self, service: Service
    ) -> None:
        query_id = started(service, ARTICLE.replace("b.EmailAddress,", "s.EmailAddress,"))
        assert rowset(service) == []
        assert log(service, query_id)[0].startswith("Violation of PRIMARY KEY constraint")

    def test_the_corrected_one_gives_one_row_for_each_subscriber(self, service: Service) -> None:
        query_id = started(service, CORRECTED)
        assert log(service, query_id) == []
        found = rowset(service)
        assert [row["subscriberkey"] for row in found] == ["held"]
        assert found[0]["emailaddress"] == "1@example.com"
        assert found[0]["smtpcode"] == "550"
        assert found[0]["bouncereason"] == "x" * 500
        assert found[0]["bouncedate"] == "Mar  9 2026 10:02AM"

    def test_a_reason_that_is_not_cut_fails_the_whole_activity(self, service: Service) -> None:
        whole = CORRECTED.replace("LEFT(b.SMTPBounceReason, 500)", "b.SMTPBounceReason")
        query_id = started(service, whole)
        assert log(service, query_id) == ["String or binary data would be truncated."]
        assert rowset(service) == []


class TestUpdateTypes:
    ONE = "SELECT 'a' AS SubscriberKey, 'new' AS BounceReason"

    @pytest.fixture(autouse=True)
    def there(self, service: Service) -> None:
        service.rest(
            "POST",
            f"/hub/v1/dataevents/key:{STAGING}/rowset",
            json=[
                {"keys": {"SubscriberKey": "a"}, "values": {"BounceReason": "old", "RunId": "r"}},
                {"keys": {"SubscriberKey": "b"}, "values": {"BounceReason": "old"}},
            ],
        )

    def said(self, service: Service) -> list[tuple[str, str, str]]:
        return [(r["subscriberkey"], r["bouncereason"], r["runid"]) for r in rowset(service)]

    def test_overwrite_empties_first(self, service: Service) -> None:
        started(service, self.ONE)
        assert self.said(service) == [("a", "new", "")]

    def test_update_changes_the_given_columns_and_adds(self, service: Service) -> None:
        started(
            service,
            f"{self.ONE} UNION SELECT 'c' AS SubscriberKey, 'new' AS BounceReason",
            targetUpdateTypeId=1,
        )
        assert self.said(service) == [("a", "new", "r"), ("b", "old", ""), ("c", "new", "")]

    def test_update_does_not_dedupe_its_own_rows(self, service: Service) -> None:
        twice = f"{self.ONE} UNION ALL SELECT 'A' AS SubscriberKey, 'x' AS BounceReason"
        query_id = started(service, twice, targetUpdateTypeId=1)
        assert "duplicate key value is (A)" in log(service, query_id)[0]
        assert self.said(service) == [("a", "old", "r"), ("b", "old", "")]

    def test_append_refuses_a_key_that_is_there(self, service: Service) -> None:
        query_id = started(service, self.ONE, targetUpdateTypeId=2)
        assert "duplicate key value is (a)" in log(service, query_id)[0]

    def test_null_in_a_required_column(self, service: Service) -> None:
        query_id = started(service, "SELECT NULLIF('a', 'a') AS SubscriberKey")
        assert "NULL value into a non-nullable column" in log(service, query_id)[0]

    @pytest.mark.parametrize(
        ("left", "found"),
        [
            ("rolled_back", ["a", "b"]),
            ("stale", ["a", "b"]),
            ("emptied", []),
            ("partial", ["c"]),
        ],
    )
    def test_what_a_failed_overwrite_leaves_is_a_setting(
        self, service: Service, store: Store, left: str, found: list[str]
    ) -> None:
        store.set_setting("query_failure", left)
        started(
            service,
            "SELECT 'c' AS SubscriberKey, 'ok' AS BounceReason UNION ALL"
            " SELECT 'd' AS SubscriberKey, REPLICATE('x', 501) AS BounceReason",
        )
        assert [row["subscriberkey"] for row in rowset(service)] == found

    def test_a_run_that_takes_too_long_is_killed(self, service: Service, store: Store) -> None:
        store.set_setting("query_limit_seconds", "0")
        numbers = "SELECT 1 AS n UNION ALL SELECT 2 AS n UNION ALL SELECT 3 AS n"
        joins = " ".join(f"CROSS JOIN ({numbers}) t{i}" for i in range(1, 13))
        text = f"SELECT CONVERT(varchar, COUNT(*)) AS SubscriberKey FROM ({numbers}) t0 {joins}"
        query_id = started(service, text)
        assert log(service, query_id) == ["AutoKill"]

    def test_a_fault_fails_the_run(self, server: Host, store: Store) -> None:
        faults = Faults.parse({"faults": [{"kind": "job_failed", "path": "*/start*"}]})
        with server.serving(store, faults) as service:
            query_id = started(service, self.ONE)
            assert log(service, query_id) == ["The activity failed."]
            assert faults.counts()[0]["applied"] == 1


class TestWatching:
    def test_a_run_may_seem_over_before_it_began(self, service: Service, store: Store) -> None:
        query_id = create(service, CORRECTED).json()["queryDefinitionId"]
        store.set_setting("query_false_early_seconds", "0.5")
        path = f"/automation/v1/queries/{query_id}/actions"
        service.rest("POST", f"{path}/start")
        assert service.rest("GET", f"{path}/isrunning").json() == {
            "queryDefinitionId": query_id,
            "isRunning": False,
        }
        assert rowset(service) == []
        deadline = time.monotonic() + 20
        while not rowset(service):
            assert time.monotonic() < deadline, "the query doesn't run"

    def test_the_rowset_lags(self, service: Service, store: Store) -> None:
        store.set_setting("rowset_lag_seconds", "3600")
        started(service, CORRECTED)
        path = f"/data/v1/customobjectdata/key/{STAGING}/rowset"
        assert service.rest("GET", path).status_code == 404

    def test_a_body_starts_nothing(self, service: Service, store: Store) -> None:
        query_id = create(service, CORRECTED).json()["queryDefinitionId"]
        path = f"/automation/v1/queries/{query_id}/actions/start"
        assert service.rest("POST", path, json={"a": 1}).json() == "OK"
        assert store.execute("SELECT count(*) FROM query_run").fetchone()[0] == 0

    def test_a_run_whose_process_is_gone_is_over(self, service: Service, store: Store) -> None:
        query_id = create(service, CORRECTED).json()["queryDefinitionId"]
        store.insert(
            "query_run",
            ["query_object_id", "task_id", "process", "started_at"],
            [(query_id, "t", 2**22 + 1, time.time())],
        )
        said = service.rest("GET", f"/automation/v1/queries/{query_id}/actions/isrunning")
        assert said.json()["isRunning"] is False


class TestDefinitions:
    def test_all_that_a_definition_shows(self, service: Service) -> None:
        made = create(service, CORRECTED).json()
        fetched = service.rest("GET", f"/automation/v1/queries/{made['queryDefinitionId']}/").json()
        assert fetched == made
        assert made["targetUpdateTypeName"] == "Overwrite"
        assert made["targetName"] == STAGING
        assert made["queryText"] == CORRECTED
        assert "status" not in made

    def test_a_page_holds_25_at_most(self, service: Service) -> None:
        for number in range(26):
            create(service, CORRECTED, name=f"q{number:02}", key=f"q{number:02}")
        path = "/automation/v1/queries?$page={}&$pageSize=100"
        first, second = (service.rest("GET", path.format(page)).json() for page in (1, 2))
        assert (first["count"], first["pageSize"], len(first["items"])) == (26, 25, 25)
        assert [item["name"] for item in second["items"]] == ["q25"]
        like = service.rest("GET", "/automation/v1/queries?$filter=Name%20like%20'q0'").json()
        assert like["count"] == 10

    def test_patched_and_deleted(self, service: Service) -> None:
        path = f"/automation/v1/queries/{create(service, CORRECTED).json()['queryDefinitionId']}"
        text = "SELECT 'a' AS SubscriberKey"
        assert service.rest("PATCH", path, json={"queryText": text}).json()["queryText"] == text
        assert service.rest("PATCH", path, json={"queryText": "SELECT"}).status_code == 400
        assert service.rest("DELETE", path).status_code == 200
        assert service.rest("GET", path).status_code == 404

    @pytest.mark.parametrize(
        ("more", "said"),
        [
            ({"categoryId": None}, "categoryId is required."),
            ({"targetKey": "nowhere"}, "The target data extension 'nowhere' does not exist."),
            (
                {"queryText": "SELECT 'x' AS BounceReason"},
                "Field 'SubscriberKey' is required for the Target Data Extension",
            ),
            ({"targetUpdateTypeId": 9}, "targetUpdateTypeId 9 is not valid."),
        ],
    )
    def test_what_is_refused(self, service: Service, more: dict[str, Any], said: str) -> None:
        refused = create(service, CORRECTED, **more)
        assert (refused.status_code, refused.json()["message"]) == (400, said)

    def test_a_key_is_taken_once(self, service: Service) -> None:
        create(service, CORRECTED)
        assert create(service, CORRECTED).status_code == 400


def test_a_date_column_and_types_of_the_target(
    service: Service, store: Store, tmp_path: Path
) -> None:
    fields = [
        DataExtensionField("K", "Text", 10, is_primary_key=True, is_required=True),
        DataExtensionField("At", "Date"),
        DataExtensionField("N", "Number"),
        DataExtensionField("B", "Boolean"),
        DataExtensionField("D", "Text", 5, default_value="none"),
    ]
    store.create_data_extension("typed", fields, name="Typed rows")
    started(
        service,
        "SELECT TOP 1 'k' AS K, EventDate AS At, '7' AS N, 1 AS B FROM _Bounce ORDER BY EventDate",
        targetKey="typed",
    )
    assert rowset(service, "typed") == [
        {"k": "k", "at": "3/9/2026 10:01:00 AM", "n": "7", "b": "True", "d": "none"}
    ]
