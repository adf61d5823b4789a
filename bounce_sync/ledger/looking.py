"""What is at a ledger's address, without making or migrating anything."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from bounce_sync.ledger import database, schema
from bounce_sync.ledger.errors import LedgerError


@dataclass(frozen=True)
class LedgerState:
    """`revision` is None where there is no ledger yet, `org_id` until a live run binds it."""

    revision: str | None = None
    org_id: str | None = None

    @property
    def is_newest(self) -> bool:
        return self.revision == database.revisions()[0]

    @property
    def is_known(self) -> bool:
        """Whether this release can use it, be it after a migration."""
        return self.revision is None or self.revision in database.revisions()


def look(url: str) -> LedgerState:
    """Raises `LedgerError` where the address can't be used or reached."""
    engine = database.open_existing(url)
    if engine is None:
        return LedgerState()
    try:
        with engine.connect() as connection:
            revision = database.revision_of(connection)
            if revision is None:
                return LedgerState()
            bound = connection.execute(select(schema.org_binding.c.org_id)).scalar()
    except SQLAlchemyError as error:
        raise LedgerError(
            f"The ledger at {engine.url.render_as_string()} can't be read: "
            f"{getattr(error, 'orig', None) or type(error).__name__}. Check BOUNCE_SYNC_LEDGER."
        ) from error
    return LedgerState(revision, bound)
