"""What went wrong in a run, of the errors that Dagster stored with it."""

from __future__ import annotations

from typing import Any


def raised(stored: Any) -> Any:
    """The error that our code raised, out of those that Dagster wrapped around it.

    Args:
        stored: Dagster's record of an error (`cls_name`, `message`, `cause`), or None.

    Its own cause isn't followed: what our code raises says where it happened and what to do, what a
    library raised beneath doesn't.
    """
    error = stored
    while error is not None and error.cause is not None and error.cls_name.startswith("Dagster"):
        error = error.cause
    return error
