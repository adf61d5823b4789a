"""Bulk API 2.0: jobs that update or query many records in the background."""
