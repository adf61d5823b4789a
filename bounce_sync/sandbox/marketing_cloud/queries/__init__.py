"""Query activities: T-SQL, parsed by sqlglot, run by SQLite with the semantics of SFMC."""
