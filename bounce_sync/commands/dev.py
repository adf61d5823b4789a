"""`bounce-sync dev`: the sandbox and the Dagster UI together."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys

import click

from bounce_sync.commands import output
from bounce_sync.commands.dead_runs import end_dead_runs
from bounce_sync.commands.runner import dagster_instance, prepare_home, sandbox_environment
from bounce_sync.sandbox import embedded
from bounce_sync.settings import Settings

GRACE = 20.0
"""Seconds that Dagster's processes have to end after SIGINT."""


@click.command(epilog="Example: bounce-sync dev --port 3001")
@click.option(
    "--port",
    default=3000,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="Port of the Dagster UI.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address it listens on.")
def dev(port: int, host: str) -> None:
    """Serve the sandbox (unless the target is live) and open the Dagster UI."""
    settings = Settings.load()
    _try_port(host, port)
    with contextlib.ExitStack() as stack:
        environment = dict(os.environ)
        if settings.embedded:
            address = stack.enter_context(embedded.serve_own(settings.sandbox_folder))
            units = embedded.business_units(settings.sandbox_folder)
            environment |= sandbox_environment(address, units)
        if "DAGSTER_HOME" not in environment:
            with dagster_instance(settings.dagster_home) as instance:
                if dead := end_dead_runs(instance):
                    output.progress(f"{dead} run(s) had ended with Dagster; they count as failed.")
        home = environment.setdefault("DAGSTER_HOME", str(settings.dagster_home))
        prepare_home(settings.dagster_home)
        output.progress(f"Dagster UI: http://{host}:{port} (state in {home})")
        sys.exit(_serve(port, host, environment))


def _try_port(host: str, port: int) -> None:
    """Dagster goes on without its UI where it can't listen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        why = str(error.strerror).partition(" (")[0]
        raise click.ClickException(
            f"The Dagster UI can't listen on {host}, port {port} ({why}). Choose another with "
            "--port or --host."
        ) from None


def _serve(port: int, host: str, environment: dict[str, str]) -> int:
    """Runs `dagster dev` in a process group of its own and ends the whole group.

    Started in the background it ignores SIGINT, and its children outlive it (facts/dagster.md §H):
    so SIGINT is restored, it gets time to end its children, and SIGKILL has the last word.
    """
    command = [sys.executable, "-m", "dagster", "dev", "-m", "bounce_sync.definitions"]
    process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own arguments
        [*command, "--port", str(port), "--host", host],
        env=environment,
        start_new_session=True,
        preexec_fn=_listen_to_interrupts,
    )

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        process.send_signal(signal.SIGINT)
        process.wait(GRACE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _listen_to_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
