"""A crash while the crash before it is settled: what wasn't written is still carried over."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest

from bounce_sync.ledger import Ledger, RunJournal
from bounce_sync_tests.crashes.dying import Killed
from bounce_sync_tests.ledger.frames import Facts, change, changes, record_id, records


@pytest.mark.parametrize(("owner", "call"), [(Ledger, "remember"), (RunJournal, "note")])
def test_a_key_is_carried_over_all_the_same(tmp_path: Path, owner: type, call: str) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    untouched = records({"record_id": record_id(1), "flag": False})
    with ledger.writer(0):
        ledger.run_journal("killed", "2026-02-03").intend(changes(change(1)))
    with (
        pytest.raises(Killed),
        ledger.writer(0),
        mock.patch.object(owner, call, side_effect=Killed),
    ):
        ledger.settle_open(untouched, Facts())
    with ledger.writer(0):
        ledger.settle_open(untouched, Facts())
    assert ledger.open_intents().empty
    assert ledger.carried("2026-02-04")["subscriber_key"].tolist() == [record_id(1)]
