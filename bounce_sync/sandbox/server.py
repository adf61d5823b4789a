"""A sandbox over real HTTP: both services on two ports of this machine, in threads of this process.

Each service has a thread with an event loop of its own; they share nothing but the store. With
HTTPS (the default) a certificate authority is made once and kept in the sandbox's folder, so that
a client may be told of ``ca.pem`` before the services run.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import json
import os
import socket
import ssl
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import trustme
import uvicorn
from filelock import FileLock
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bounce_sync.sandbox import status
from bounce_sync.sandbox.faults import TRANSPORT, Faults, FaultyWire, drop
from bounce_sync.sandbox.store import SandboxError, Store

LOOPBACK = "127.0.0.1"
BACKLOG = 2048
KEEP_ALIVE = 120
"""Seconds; longer than any client's pause, or a request may meet a connection that just closed."""

GRACE = 1
"""Seconds that a request in flight has to end when the server is stopped."""

FLUSH = 0.05
"""Seconds that the last answers have to leave."""


@dataclass(frozen=True)
class Address:
    """Where a served sandbox is, and how to log in: the JSON line of ``sandbox serve``."""

    auth_url: str
    rest_url: str
    soap_url: str
    salesforce_url: str
    client_id: str
    client_secret: str
    username: str
    password: str
    account_id: str
    ca_bundle: str | None
    status_url: str

    def json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))


@contextmanager
def serve(
    directory: Path | str,
    *,
    http: bool = False,
    marketing_cloud_port: int = 0,
    salesforce_port: int = 0,
    faults: Faults | Path | str | None = None,
    host: str = LOOPBACK,
) -> Iterator[Address]:
    """Serves the sandbox in ``directory`` until the context ends; a port of 0 is any free one.

    The services answer when the context is entered. Raises SandboxError where the folder holds no
    sandbox, a port is taken, or the faults file can't be used.
    """
    planned = Faults([]) if faults is None else faults
    if not isinstance(planned, Faults):
        planned = Faults.load(planned)
    with ExitStack() as stack:
        store = stack.enter_context(Store.open(directory))
        ports = {"marketing_cloud": marketing_cloud_port, "salesforce": salesforce_port}
        listeners = {
            service: stack.enter_context(_listen(host, port, service))
            for service, port in ports.items()
        }
        name = _reachable_name(host)
        base = {
            service: f"{'http' if http else 'https'}://{_bracketed(name)}:{listener.getsockname()[1]}"
            for service, listener in listeners.items()
        }
        with FileLock(store.directory / "starting.lock"):
            bundle, context = (None, None) if http else _certificate(store.directory, {name, host})
            apps = {service: _application(service, store, base[service]) for service in base}
        for service, app in apps.items():
            app = FaultyWire(app, service, planned) if planned.entries else app
            app = status.StatusPage(app, store, planned)
            stack.enter_context(_running(app, listeners[service], context, store, service))
        yield Address(
            auth_url=base["marketing_cloud"] + "/",
            rest_url=base["marketing_cloud"] + "/",
            soap_url=base["marketing_cloud"] + "/",
            salesforce_url=base["salesforce"],
            client_id=store.setting("client_id"),
            client_secret=store.setting("client_secret"),
            username=store.setting("username"),
            password=store.setting("password"),
            account_id=store.setting("account_id"),
            ca_bundle=None if bundle is None else str(bundle),
            status_url=base["salesforce"] + status.PATH,
        )


def _application(service: str, store: Store, base_url: str) -> ASGIApp:
    """The app of a service, told its own address (no slash at the end).

    It may add to the store what it needs: only one process at a time gets here.
    """
    module = importlib.import_module(f"bounce_sync.sandbox.{service}.app")
    app: ASGIApp = module.application(store, base_url)
    return app


# -- sockets and certificates -----------------------------------------------------------------


class _Listener(socket.socket):
    """Remembers the connections that it accepted: one that never finishes its TLS handshake is
    known to nobody else, and would outlive the server.
    """

    def __init__(self, family: int) -> None:
        super().__init__(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self.accepted: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def accept(self) -> tuple[socket.socket, Any]:
        connection, address = super().accept()
        self.accepted.add(connection)
        return connection, address

    def hang_up(self) -> bool:
        """Ends the connections that are still open; False when there are none."""
        still_open = [connection for connection in self.accepted if connection.fileno() != -1]
        for connection in still_open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        return bool(still_open)


def _listen(host: str, port: int, service: str) -> _Listener:
    """A listening socket: clients may connect from now on, and wait for the server to take them."""
    listener = _Listener(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise SandboxError(
            f"the {service} service can't listen on {host}:{port}: {error.strerror}"
        ) from error
    return listener


def _reachable_name(host: str) -> str:
    """What clients are told: the host itself, or this machine's name when it listens on all."""
    return socket.gethostname() if host in ("0.0.0.0", "::", "") else host  # noqa: S104


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _certificate(directory: Path, names: set[str]) -> tuple[Path, ssl.SSLContext]:
    """The CA's file, and a context with a certificate that it signed for these names."""
    bundle, secret = (directory / "ca.pem").resolve(), directory / "ca-key.pem"
    with FileLock(directory / "ca.lock"):
        if bundle.exists() and secret.exists():
            authority = trustme.CA.from_pem(bundle.read_bytes(), secret.read_bytes())
        else:
            authority = trustme.CA()
            with os.fdopen(
                os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb"
            ) as f:
                f.write(authority.private_key_pem.bytes())
            bundle.write_bytes(authority.cert_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", LOOPBACK, *sorted(names - {LOOPBACK})).configure_cert(context)
    return bundle, context


# -- the server -------------------------------------------------------------------------------


class _Protocol(HttpToolsProtocol):
    """Hands its connection to the app, so that a fault can drop it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app: Any = functools.partial(_with_transport, self.app, transport)


async def _with_transport(
    app: ASGIApp, transport: asyncio.Transport, scope: Scope, receive: Receive, send: Send
) -> None:
    scope.setdefault("extensions", {})[TRANSPORT] = transport
    try:
        await app(scope, receive, send)
    except asyncio.CancelledError:  # the server stops, and has waited long enough
        await drop(transport, receive)


HANG_UPS = 250
"""How often connections are ended before the server leaves: one may be nobody's by then, and its
socket goes with the process.
"""


class _Server(uvicorn.Server):
    """Says when it has started, and stops at once."""

    def __init__(self, config: uvicorn.Config, listener: _Listener, store: Store) -> None:
        super().__init__(config)
        self.listener = listener
        self.store = store
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.settled.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Lets requests in flight end, for a short time, and closes whatever is left.

        uvicorn's own would wait for clients to close their idle connections over TLS.
        """
        for server in self.servers:
            server.close()
        state = self.server_state
        if state.tasks:
            await asyncio.wait(list(state.tasks), timeout=GRACE)
        for task in list(state.tasks):
            task.cancel()
            self.store.interrupt()  # a worker thread in a long statement can't be cancelled
        for connection in list(state.connections):
            connection.transport.close()
        await asyncio.sleep(FLUSH if state.connections else 0)
        for connection in list(state.connections):
            connection.transport.abort()
        for _ in range(HANG_UPS):
            if not self.listener.hang_up():
                break
            await asyncio.sleep(0.001)


@contextmanager
def _running(
    app: ASGIApp,
    listener: _Listener,
    context: ssl.SSLContext | None,
    store: Store,
    service: str,
) -> Iterator[None]:
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
    )
    config.load()
    config.ssl = context
    server = _Server(config, listener, store)

    def run() -> None:
        try:
            server.run([listener])
        finally:
            server.settled.set()

    thread = threading.Thread(target=run, name=f"sandbox-{service}", daemon=True)
    thread.start()
    server.settled.wait()
    if not server.started:
        raise SandboxError(f"the {service} service didn't start; what stopped it stands above")
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
