"""Alembic's scripts; they run by themselves when a ledger is opened."""
