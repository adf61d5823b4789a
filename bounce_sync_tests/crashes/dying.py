"""Runs that end at one of the ledger's calls, as a killed process would."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from bounce_sync.ledger import RunJournal

CALLS = ("intend", "job_sent", "settle")


class Killed(BaseException):
    """The process ends here, as far as the ledger can tell."""


@contextlib.contextmanager
def dies(nth: int, *, noted: bool) -> Iterator[None]:
    """The `nth` call of the run's journal is the last; `noted`: it was still carried out.

    A run with fewer calls survives. Of the dead no further call is taken.
    """
    calls = 0

    def mortal(whole: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls < nth:
                return whole(*arguments, **options)
            if calls == nth and noted:
                whole(*arguments, **options)
            raise Killed

        return call

    with contextlib.ExitStack() as stack:
        for name in CALLS:
            whole = getattr(RunJournal, name)
            stack.enter_context(mock.patch.object(RunJournal, name, mortal(whole)))
        yield
