"""The ledger: what was meant to be written to the CRM, and what became of it.

An intent with its before-image is committed before a batch is sent, its outcome after the answer;
so nothing that a crash interrupts is lost, and everything can be explained and undone. Rows are
only ever added. This package knows no Dagster and no network; it doesn't decide anything.
"""

from bounce_sync.ledger.database import address
from bounce_sync.ledger.errors import (
    LedgerBusy,
    LedgerError,
    LedgerTooNew,
    NotTheWriter,
    UnknownRun,
    WrongOrg,
)
from bounce_sync.ledger.journal import RunJournal
from bounce_sync.ledger.ledger import Ledger
from bounce_sync.ledger.looking import LedgerState, look
from bounce_sync.ledger.settling import NOT_SENT

__all__ = [
    "NOT_SENT",
    "Ledger",
    "LedgerBusy",
    "LedgerError",
    "LedgerState",
    "LedgerTooNew",
    "NotTheWriter",
    "RunJournal",
    "UnknownRun",
    "WrongOrg",
    "address",
    "look",
]
