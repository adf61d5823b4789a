"""What can be wrong with a ledger; each message says what to do."""


class LedgerError(RuntimeError):
    """The ledger can't be used as asked."""


class LedgerTooNew(LedgerError):
    """A newer release of bounce_sync has been here."""


class WrongOrg(LedgerError):
    """The ledger belongs to another Salesforce org."""


class LedgerBusy(LedgerError):
    """Another process writes, and it didn't end in the time that was given."""


class NotTheWriter(LedgerError):
    """A write was to be recorded without holding the writer's lock."""


class UnknownRun(LedgerError):
    """The ledger has no such run."""
