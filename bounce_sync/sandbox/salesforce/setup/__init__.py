"""Setting an org up: its set-up objects, and the APIs that change fields and metadata."""
