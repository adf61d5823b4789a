"""`bounce-sync sandbox …` as a person or a script runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
import requests

from bounce_sync.sandbox.server import Address
from bounce_sync.sandbox.store import Store
from bounce_sync_tests.sandbox_core.rehearsal import visiting, write

COMMAND = (sys.executable, "-c", "from bounce_sync.sandbox.command import sandbox; sandbox()")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)


@contextmanager
def served(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], Address]]:
    with subprocess.Popen(
        [*COMMAND, "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        try:
            yield process, Address(**json.loads(line))
        finally:
            if process.poll() is None:
                process.kill()


@pytest.mark.parametrize("command", ["create", "serve", "advance", "export"])
def test_each_command_explains_itself_with_an_example(command: str) -> None:
    helped = run(command, "--help")
    assert helped.returncode == 0
    assert f"bounce-sync sandbox {command} --dir" in helped.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("create",),
        ("create", "--dir", "x", "--days", "0"),
        ("create", "--dir", "x", "--data", "nowhere"),
        ("create", "--dir", "x", "--data", ".", "--seed", "1"),
        ("serve", "--dir", "x", "--salesforce-port", "70000"),
        ("serve", "--dir", "x", "--faults", "nowhere.json"),
        ("advance", "--dir", "x"),
        ("export", "--dir", "x", "--to", "y", "--from", "2026-01-02", "--until", "2026-01-01"),
        ("dance",),
    ],
)
def test_wrong_usage_is_status_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).returncode == 2


@pytest.mark.parametrize(
    "arguments",
    [("serve",), ("advance", "--days", "1")],
)
def test_a_folder_without_a_sandbox_is_status_1_and_a_message(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    failed = run(*arguments, "--dir", str(tmp_path))
    assert failed.returncode == 1
    assert "holds no sandbox" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_create_from_files_says_what_it_made_and_lists_what_is_wrong(
    tmp_path: Path, folder: Path
) -> None:
    write(folder / "subscribers.csv", "SubscriberKey,Status\nk,gone\n")
    failed = run("create", "--dir", str(tmp_path / "t"), "--data", str(folder))
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "subscribers.csv:2: Status: 'gone' is none of" in failed.stderr
    write(folder / "subscribers.csv", "SubscriberKey,Status\nk,held\n")
    made = run("create", "--dir", str(tmp_path / "t"), "--data", str(folder))
    assert made.returncode == 0, made.stderr
    assert "1 subscribers, 0 bounces" in made.stdout


def test_a_simulated_tenant_is_made_moved_on_and_exported(tmp_path: Path) -> None:
    tenant, out = str(tmp_path / "t"), tmp_path / "out"
    made = run("create", "--dir", tenant, "--subscribers", "300", "--days", "20", "--seed", "3")
    assert made.returncode == 0, made.stderr
    with Store.open(tenant) as store:
        before = store.now()
    moved = run("advance", "--dir", tenant, "--days", "2")
    assert moved.returncode == 0, moved.stderr
    with Store.open(tenant) as store:
        assert (store.now() - before).days == 2
    day = before.date().isoformat()
    exported = run("export", "--dir", tenant, "--to", str(out), "--from", day, "--until", day)
    assert exported.returncode == 0, exported.stderr
    assert any(out.iterdir())


def test_a_bare_tenant_has_nothing_that_a_set_up_makes_and_lives_all_the_same(
    tmp_path: Path,
) -> None:
    folder = str(tmp_path / "bare")
    size = ("--subscribers", "60", "--days", "3")
    made = run("create", "--dir", folder, "--bare", *size)
    assert made.returncode == 0, made.stderr
    moved = run("advance", "--dir", folder, "--days", "2")
    assert moved.returncode == 0, moved.stderr
    with Store.open(folder) as store:
        fields = {row["name"] for name in ("Contact", "Lead") for row in store.fields(name)}
        assert not [name for name in fields if name.endswith("__c")]
        assert store.execute("SELECT count(*) FROM data_extension").fetchone()[0] == 0
        assert store.execute('SELECT count(*) FROM "Contact"').fetchone()[0] > 0


def test_a_making_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    tenant = tmp_path / "t"
    with subprocess.Popen(
        [*COMMAND, "create", "--dir", str(tenant), "--subscribers", "5000000"]
    ) as process:
        while process.poll() is None and not list(tenant.glob(".sandbox.db.*")):
            pass
        process.terminate()
    assert process.returncode == 128 + signal.SIGTERM
    assert list(tenant.iterdir()) == []


def test_serve_answers_when_its_line_is_there_and_ends_at_once_on_sigterm(tenant: Path) -> None:
    with served("--dir", str(tenant)) as (process, address), visiting(address) as visitor:
        assert visitor.sfmc_token().status_code == 200
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")


def test_sigterm_ends_requests_that_would_last_for_ever(tenant: Path, tmp_path: Path) -> None:
    faults = {"faults": [{"path": "/v2/token", "kind": "latency", "ms": 3_600_000}]}
    (tmp_path / "faults.json").write_text(json.dumps(faults))
    broken: list[Exception] = []

    with (
        served("--dir", str(tenant), "--faults", str(tmp_path / "faults.json"), "--http") as (
            process,
            address,
        ),
        visiting(address) as waiting,
        visiting(address) as looking,
    ):

        def wait() -> None:
            try:
                waiting.sfmc_token()
            except requests.RequestException as error:
                broken.append(error)

        client = Thread(target=wait)
        client.start()
        while looking.status()["faults"][0]["applied"] == 0:
            pass
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
        client.join()
    assert (process.returncode, err) == (0, "")
    assert [type(error) for error in broken] == [requests.ConnectionError]


def test_serve_with_a_bad_faults_file_is_status_1(tenant: Path, tmp_path: Path) -> None:
    (tmp_path / "faults.json").write_text('{"faults": [{"kind": "flood"}]}')
    failed = run("serve", "--dir", str(tenant), "--faults", str(tmp_path / "faults.json"))
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "fault 1: kind is 'flood'" in failed.stderr


def test_two_serves_of_one_folder_start_together(tenant: Path) -> None:
    processes = [
        subprocess.Popen(
            [*COMMAND, "serve", "--dir", str(tenant)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    try:
        bundles = set()
        for process in processes:
            assert process.stdout is not None
            address = Address(**json.loads(process.stdout.readline()))
            bundles.add(address.ca_bundle)
            with visiting(address) as visitor:
                assert visitor.crm_token()
        assert len(bundles) == 1
    finally:
        for process in processes:
            process.terminate()
            process.communicate()
    assert [process.returncode for process in processes] == [0, 0]
