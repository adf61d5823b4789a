"""The ledger's tables. Rows are only ever added: what is true now is the last row that says so.

Times are UTC. No address is stored anywhere: subscriber keys, record ids, mail domains and
fingerprints of addresses are. Ids of intents and outcomes are given by the one writer, in order.

This is the shape that the migrations lead to; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from bounce_sync.tables import KEY_LENGTH

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Number = BigInteger().with_variant(Integer, "sqlite")
"""An id; on SQLite the row's own number, which costs no second index."""

Moment = DateTime(timezone=True)

org_binding = Table(
    "org_binding",
    metadata,
    Column("id", Integer, primary_key=True, comment="Always 1: a ledger belongs to one org."),
    Column("org_id", String(18), nullable=False),
    Column("at", Moment, nullable=False),
)

run = Table(
    "run",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("run_id", String(64), nullable=False),
    Column("partition", String(10), nullable=False),
    Column("target", String(16), nullable=False),
    Column("policy", JSON, nullable=False),
    Column("released", JSON, nullable=False, comment="Guards that a tag released for this run."),
    Column("undoes", String(64), comment="The run that this one undoes."),
    Column("at", Moment, nullable=False),
    UniqueConstraint("run_id", "partition"),
)

intent = Table(
    "intent",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=False),
    Column("run_number", ForeignKey(run.c.number), nullable=False),
    Column("subscriber_key", String(KEY_LENGTH), nullable=False),
    Column("object", String(16), nullable=False),
    Column("record_id", String(18), nullable=False),
    Column("action", String(8), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("flag_before", Boolean),
    Column("flag_after", Boolean),
    Column("date_before", Moment),
    Column("date_after", Moment),
    Column("bounced_at", Moment),
    Column("status", String(16), comment="SFMC's status of the key when it was decided."),
    Column("domain", String(255), comment="Mail domain of the bounce."),
    Column("email_hash", String(64), comment="Fingerprint of the CRM's address."),
    Column("account_id", String(18)),
    Column("person_account_id", String(18)),
    Column("undo_of", Number, comment="The intent that this one takes back."),
    Column("undo_root", Number, comment="The write at the start of a chain of undos."),
    Column("undo_depth", Integer, nullable=False, comment="Odd: the root stands undone."),
    Column("created_at", Moment, nullable=False),
    Index(None, "run_number"),
    Index(None, "object", "record_id"),
    Index(None, "subscriber_key"),
)

outcome = Table(
    "outcome",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=False),
    Column("intent_id", ForeignKey(intent.c.id), nullable=False),
    Column("outcome", String(8), nullable=False),
    Column("error_code", String(80)),
    Column("message", Text),
    Column("final", Boolean, nullable=False, comment="False: the next run looks again."),
    Column("at", Moment, nullable=False),
    Index(None, "intent_id", "final"),
)

bulk_job = Table(
    "bulk_job",
    metadata,
    Column("job_id", String(18), primary_key=True),
    Column("object", String(16), nullable=False),
    Column("at", Moment, nullable=False),
)

bulk_job_intent = Table(
    "bulk_job_intent",
    metadata,
    Column("intent_id", ForeignKey(intent.c.id), primary_key=True, autoincrement=False),
    Column("job_id", ForeignKey(bulk_job.c.job_id), nullable=False),
)

carry_over = Table(
    "carry_over",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=False),
    Column("run_number", ForeignKey(run.c.number), nullable=False),
    Column("partition", String(10), nullable=False),
    Column("subscriber_key", String(KEY_LENGTH), nullable=False),
    Column("since", String(10), nullable=False, comment="Partition that carried it first."),
    Column("state", String(8), nullable=False, comment="carried or settled; the last row counts."),
    Index(None, "subscriber_key"),
)
