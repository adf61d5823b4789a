"""One writer per ledger: a live one is waited for, a dead one blocks nobody."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bounce_sync.ledger import Ledger, LedgerBusy

HOLD = """
import sys
from bounce_sync.ledger import Ledger
with Ledger(sys.argv[1]).writer(0, run_id="the-other-run"):
    print("holding", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def another_writer(url: str) -> Iterator[subprocess.Popen]:
    """A process that holds the writer's lock until a line is sent to it."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_writer_is_told_who_writes_and_gives_up_in_the_end(url: str) -> None:
    said: list[str] = []
    with (
        another_writer(url),
        pytest.raises(LedgerBusy, match=r"run the-other-run .*since 20\d\d-.* after 0.2 s"),
        Ledger(url).writer(0.2, said.append),
    ):
        pytest.fail("two writers at once")
    (message,) = said
    assert "run the-other-run" in message
    assert "since 20" in message


def test_a_writer_that_ends_is_waited_for(url: str) -> None:
    with another_writer(url) as other:

        def finish(_message: str) -> None:
            assert other.stdin is not None
            other.stdin.write("done\n")
            other.stdin.flush()

        with Ledger(url).writer(60, finish):
            assert other.wait() == 0


def test_a_killed_writer_blocks_nobody(url: str) -> None:
    ledger = Ledger(url)
    with another_writer(url) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        with ledger.writer(30):
            ledger.run_journal("r1", "2026-02-03")


def test_the_lock_is_free_after_an_error(ledger: Ledger, url: str) -> None:
    with pytest.raises(ZeroDivisionError), ledger.writer(0):
        raise ZeroDivisionError
    other = Ledger(url)
    with other.writer(0):
        other.run_journal("r1", "2026-02-03")
