"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MOMENT = sa.DateTime(timezone=True)


def _id(name: str = "id") -> sa.Column:
    return sa.Column(name, NUMBER, autoincrement=False, nullable=False)


def upgrade() -> None:
    op.create_table(
        "org_binding",
        sa.Column(
            "id", sa.Integer, nullable=False, comment="Always 1: a ledger belongs to one org."
        ),
        sa.Column("org_id", sa.String(18), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_org_binding"),
    )
    op.create_table(
        "run",
        _id("number"),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("partition", sa.String(10), nullable=False),
        sa.Column("target", sa.String(16), nullable=False),
        sa.Column("policy", sa.JSON, nullable=False),
        sa.Column(
            "released", sa.JSON, nullable=False, comment="Guards that a tag released for this run."
        ),
        sa.Column("undoes", sa.String(64), comment="The run that this one undoes."),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_run"),
        sa.UniqueConstraint("run_id", "partition", name="uq_run_run_id_partition"),
    )
    op.create_table(
        "intent",
        _id(),
        sa.Column("run_number", NUMBER, nullable=False),
        sa.Column("subscriber_key", sa.String(254), nullable=False),
        sa.Column("object", sa.String(16), nullable=False),
        sa.Column("record_id", sa.String(18), nullable=False),
        sa.Column("action", sa.String(8), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("flag_before", sa.Boolean),
        sa.Column("flag_after", sa.Boolean),
        sa.Column("date_before", MOMENT),
        sa.Column("date_after", MOMENT),
        sa.Column("bounced_at", MOMENT),
        sa.Column("status", sa.String(16), comment="SFMC's status of the key when it was decided."),
        sa.Column("domain", sa.String(255), comment="Mail domain of the bounce."),
        sa.Column("email_hash", sa.String(64), comment="Fingerprint of the CRM's address."),
        sa.Column("account_id", sa.String(18)),
        sa.Column("person_account_id", sa.String(18)),
        sa.Column("undo_of", NUMBER, comment="The intent that this one takes back."),
        sa.Column("undo_root", NUMBER, comment="The write at the start of a chain of undos."),
        sa.Column("undo_depth", sa.Integer, nullable=False, comment="Odd: the root stands undone."),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_intent"),
        sa.ForeignKeyConstraint(["run_number"], ["run.number"], name="fk_intent_run_number"),
    )
    op.create_index("ix_intent_run_number", "intent", ["run_number"])
    op.create_index("ix_intent_object_record_id", "intent", ["object", "record_id"])
    op.create_index("ix_intent_subscriber_key", "intent", ["subscriber_key"])
    op.create_table(
        "outcome",
        _id(),
        sa.Column("intent_id", NUMBER, nullable=False),
        sa.Column("outcome", sa.String(8), nullable=False),
        sa.Column("error_code", sa.String(80)),
        sa.Column("message", sa.Text),
        sa.Column("final", sa.Boolean, nullable=False, comment="False: the next run looks again."),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outcome"),
        sa.ForeignKeyConstraint(["intent_id"], ["intent.id"], name="fk_outcome_intent_id"),
    )
    op.create_index("ix_outcome_intent_id_final", "outcome", ["intent_id", "final"])
    op.create_table(
        "bulk_job",
        sa.Column("job_id", sa.String(18), nullable=False),
        sa.Column("object", sa.String(16), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_bulk_job"),
    )
    op.create_table(
        "bulk_job_intent",
        _id("intent_id"),
        sa.Column("job_id", sa.String(18), nullable=False),
        sa.PrimaryKeyConstraint("intent_id", name="pk_bulk_job_intent"),
        sa.ForeignKeyConstraint(["intent_id"], ["intent.id"], name="fk_bulk_job_intent_intent_id"),
        sa.ForeignKeyConstraint(["job_id"], ["bulk_job.job_id"], name="fk_bulk_job_intent_job_id"),
    )
    op.create_table(
        "carry_over",
        _id(),
        sa.Column("run_number", NUMBER, nullable=False),
        sa.Column("partition", sa.String(10), nullable=False),
        sa.Column("subscriber_key", sa.String(254), nullable=False),
        sa.Column(
            "since", sa.String(10), nullable=False, comment="Partition that carried it first."
        ),
        sa.Column(
            "state",
            sa.String(8),
            nullable=False,
            comment="carried or settled; the last row counts.",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_carry_over"),
        sa.ForeignKeyConstraint(["run_number"], ["run.number"], name="fk_carry_over_run_number"),
    )
    op.create_index("ix_carry_over_subscriber_key", "carry_over", ["subscriber_key"])
