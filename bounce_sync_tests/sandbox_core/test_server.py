"""A served sandbox as its clients meet it."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from bounce_sync.sandbox import server
from bounce_sync.sandbox.salesforce import app as salesforce
from bounce_sync.sandbox.server import serve
from bounce_sync.sandbox.store import SandboxError, Store
from bounce_sync_tests.sandbox_core.rehearsal import CONTACT, visiting


def test_the_address_has_the_fields_of_the_contract(tenant: Path) -> None:
    with serve(tenant) as address:
        assert list(asdict(address)) == [
            "auth_url", "rest_url", "soap_url", "salesforce_url", "client_id", "client_secret",
            "username", "password", "account_id", "ca_bundle", "status_url",
        ]  # fmt: skip
        assert all(isinstance(value, str) for value in asdict(address).values())
        for url in (address.auth_url, address.rest_url, address.soap_url):
            assert url.startswith("https://127.0.0.1:")
            assert url.endswith("/")
        assert urlsplit(address.salesforce_url).path == ""
        assert urlsplit(address.salesforce_url).port != urlsplit(address.auth_url).port


def test_plain_http_has_no_certificate(tenant: Path) -> None:
    with serve(tenant, http=True) as address, visiting(address) as visitor:
        assert address.ca_bundle is None
        assert address.salesforce_url.startswith("http://")
        assert visitor.sfmc_token().json()["rest_instance_url"] == address.rest_url


def test_tls_is_trusted_by_the_kept_ca_under_both_names_and_by_nothing_else(tenant: Path) -> None:
    with serve(tenant) as address, visiting(address) as visitor:
        port = urlsplit(address.salesforce_url).port
        url = f"https://localhost:{port}/services/data"
        assert visitor.session.get(url, timeout=9).status_code == 200
        assert visitor.sfmc_token().status_code == 200
        visitor.session.verify = True
        with pytest.raises(requests.exceptions.SSLError):
            visitor.session.get(url, timeout=9)
        first = Path(str(address.ca_bundle)).read_bytes()
    with serve(tenant) as address:
        assert Path(str(address.ca_bundle)).read_bytes() == first
    assert (tenant / "ca-key.pem").stat().st_mode & 0o077 == 0


def test_it_listens_on_loopback_unless_told_otherwise(tenant: Path) -> None:
    with serve(tenant, http=True) as address:
        port = urlsplit(address.salesforce_url).port or 0
        with socket.create_connection(("127.0.0.1", port)), socket.socket() as other:
            assert other.connect_ex(("127.0.0.2", port)) != 0
    with serve(tenant, http=True, host="0.0.0.0") as address:  # noqa: S104
        port = urlsplit(address.salesforce_url).port or 0
        socket.create_connection(("127.0.0.2", port)).close()


def test_small_answers_leave_at_once() -> None:
    """asyncio spares only sockets of a stated protocol Nagle's algorithm: 40 ms an answer."""
    with (
        server._listen("127.0.0.1", 0, "salesforce") as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert accepted.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize("host", ["::1", "localhost", "0.0.0.0"])  # noqa: S104
def test_any_host_it_is_told_is_reachable_by_the_address_it_names(tenant: Path, host: str) -> None:
    with serve(tenant, host=host) as address, visiting(address) as visitor:
        assert visitor.sfmc_token().status_code == 200


def test_a_port_that_is_taken_is_named(tenant: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SandboxError, match=rf"salesforce service can't listen .*:{port}"):
            serve(tenant, salesforce_port=port).__enter__()


def test_ports_can_be_chosen_and_used_again(tenant: Path) -> None:
    with serve(tenant, http=True) as first:
        ports = [urlsplit(url).port or 0 for url in (first.auth_url, first.salesforce_url)]
    with serve(
        tenant, http=True, marketing_cloud_port=ports[0], salesforce_port=ports[1]
    ) as second:
        assert (second.auth_url, second.salesforce_url) == (first.auth_url, first.salesforce_url)


def test_a_folder_without_a_sandbox_isnt_served(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="holds no sandbox"):
        serve(tmp_path).__enter__()


def test_two_servers_of_one_folder_share_the_tenant(tenant: Path) -> None:
    with (
        serve(tenant) as one,
        serve(tenant) as other,
        visiting(one) as writer,
        visiting(other) as reader,
    ):
        record = f"sobjects/Contact/{CONTACT}"
        written = writer.crm("PATCH", record, writer.crm_token(), json={"Hard_Bounce__c": True})
        assert written.status_code == 204
        assert reader.query("SELECT Id FROM Contact WHERE Hard_Bounce__c = true") == [
            {"Id": CONTACT}
        ]


def test_stopping_doesnt_wait_for_clients_that_keep_their_connection(tenant: Path) -> None:
    with serve(tenant) as address, visiting(address) as idle:
        idle.sfmc_token()
        port = urlsplit(address.auth_url).port or 0
        silent = socket.create_connection(("127.0.0.1", port))
    with silent, socket.socket() as late:
        assert late.connect_ex(("127.0.0.1", port)) != 0


def test_stopping_interrupts_a_statement_that_would_never_end(
    tenant: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = threading.Event()

    def application(store: Store, base_url: str) -> ASGIApp:
        def count_for_ever() -> None:
            running.set()
            store.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
                " SELECT count(*) FROM n"
            ).fetchone()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await run_in_threadpool(count_for_ever)

        return app

    monkeypatch.setattr(salesforce, "application", application)
    with ThreadPoolExecutor(1) as pool:
        with serve(tenant, http=True) as address, visiting(address) as visitor:
            waiting = pool.submit(visitor.session.get, address.salesforce_url, timeout=60)
            running.wait()
        with pytest.raises(requests.ConnectionError):
            waiting.result()


def test_many_clients_at_once_get_their_own_answers(tenant: Path) -> None:
    def ask(number: int) -> tuple[int, int]:
        with visiting(address) as visitor:
            answer = visitor.session.get(f"{address.rest_url}no/such/route/{number}", timeout=30)
            return number, answer.status_code

    with serve(tenant) as address, ThreadPoolExecutor(16) as pool:
        token_needed = list(pool.map(ask, range(64)))
    assert token_needed == [(number, 401) for number in range(64)]


def test_the_status_page_shows_each_write_once(tenant: Path) -> None:
    with serve(tenant, http=True) as address, visiting(address) as visitor:
        token = visitor.crm_token()
        for value in (True, False):
            visitor.crm(
                "PATCH", f"sobjects/Contact/{CONTACT}", token, json={"Hard_Bounce__c": value}
            )
        writes = visitor.status()["crm_writes"]
        assert [(write["field"], write["record_id"]) for write in writes] == [
            ("Hard_Bounce__c", CONTACT)
        ] * 2
        assert visitor.status(after=writes[0]["id"])["crm_writes"] == writes[1:]
        assert visitor.status(limit=1)["crm_writes"] == writes[:1]
