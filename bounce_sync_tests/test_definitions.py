"""The graph as a contract: what is in it, how it hangs together, what loading it needs."""

from __future__ import annotations

import subprocess
import sys

import dagster as dg
import pytest

from bounce_sync.assets.report import CHECK
from bounce_sync.assets.rule_book import RULES
from bounce_sync.definitions import defs
from bounce_sync.tables import DAILY_TABLES, TABLES

GRAPH = defs.resolve_asset_graph()

EDGES = {
    "raw_bounces": {"sfmc/_Bounce"},
    "held_subscribers": {"sfmc/_Subscribers"},
    "confirmed_bounce_staging": {"raw_bounces", "held_subscribers"},
    "crm_flag_state": {"confirmed_bounce_staging", "salesforce/Contact", "salesforce/Lead"},
    "released_subscribers": {"crm_flag_state", "held_subscribers", "sfmc/_Subscribers"},
    "crm_flag_changes": {
        "confirmed_bounce_staging",
        "crm_flag_state",
        "held_subscribers",
        "released_subscribers",
    },
    "crm_flag_updates": {"crm_flag_changes"},
    "crm_drift": {
        "raw_bounces",
        "sfmc/_Bounce",
        "sfmc/_Subscribers",
        "salesforce/Contact",
        "salesforce/Lead",
    },
    "crm_drift_updates": {"crm_drift"},
}


@pytest.mark.parametrize("asset", TABLES)
def test_each_asset_hangs_where_the_design_says(asset: str) -> None:
    node = GRAPH.get(dg.AssetKey(asset))
    assert {key.to_user_string() for key in node.parent_keys} == EDGES[asset]


@pytest.mark.parametrize("asset", DAILY_TABLES)
def test_each_asset_is_daily_in_server_time_and_maps_to_its_own_day(asset: str) -> None:
    node = GRAPH.get(dg.AssetKey(asset))
    assert isinstance(node.partitions_def, dg.DailyPartitionsDefinition)
    assert node.partitions_def.timezone == "Etc/GMT+6"
    for parent in node.parent_keys:
        mapping = node.partition_mappings.get(parent)
        assert mapping is None or isinstance(mapping, dg.IdentityPartitionMapping)


@pytest.mark.parametrize("asset", TABLES)
def test_each_asset_explains_itself_to_an_operator(asset: str) -> None:
    node = GRAPH.get(dg.AssetKey(asset))
    assert len(node.description or "") > 80
    shown = node.metadata["dagster/column_schema"]
    assert [column.name for column in shown.columns] == list(TABLES[asset].to_schema().columns)
    assert all(column.description for column in shown.columns)


def test_the_real_systems_stand_at_the_ends() -> None:
    external = {key.to_user_string() for key in GRAPH.external_asset_keys}
    assert external == {
        "sfmc/_Bounce",
        "sfmc/_Subscribers",
        "salesforce/Contact",
        "salesforce/Lead",
    }


def test_every_rule_is_a_check_with_its_name() -> None:
    checks = {(key.asset_key.path[-1], key.name) for key in GRAPH.asset_check_keys}
    assert checks == {(rule.asset, rule.name) for rule in RULES} | {("sync_report", CHECK)}
    blocking = {
        (rule.asset, rule.name)
        for rule in RULES
        if GRAPH.get(dg.AssetCheckKey(dg.AssetKey(rule.asset), rule.name)).blocking
    }
    assert blocking == {(rule.asset, rule.name) for rule in RULES if rule.blocking}


def test_the_schedule_runs_yesterday_at_three_in_server_time() -> None:
    schedule = defs.resolve_schedule_def("daily_bounce_sync_schedule")
    assert schedule.cron_schedule == "0 3 * * *"
    assert schedule.execution_timezone == "Etc/GMT+6"
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED


def test_the_drift_report_is_weekly_and_of_no_day() -> None:
    schedule = defs.resolve_schedule_def("weekly_drift_report")
    assert schedule.cron_schedule == "0 6 * * 0"
    assert schedule.execution_timezone == "Etc/GMT+6"
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    for asset in set(TABLES) - set(DAILY_TABLES):
        assert GRAPH.get(dg.AssetKey(asset)).partitions_def is None


def test_with_target_live_both_schedules_are_on() -> None:
    program = (
        "from bounce_sync.definitions import defs\n"
        "print({schedule.default_status.value for schedule in defs.schedules})\n"
    )
    shown = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env={"PATH": "/usr/bin", "BOUNCE_SYNC_TARGET": "live"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert shown.stdout.strip() == "{'RUNNING'}"


def test_importing_the_definitions_needs_no_network_and_no_credentials() -> None:
    program = (
        "import socket\n"
        "def refuse(*_): raise AssertionError('the network was asked')\n"
        "socket.socket.connect = refuse\n"
        "socket.getaddrinfo = refuse\n"
        "from bounce_sync.definitions import defs\n"
        "defs.resolve_asset_graph()\n"
    )
    environment = {"PATH": "/usr/bin", "BOUNCE_SYNC_TARGET": "live"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, timeout=120)
