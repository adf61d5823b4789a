"""When a call is made again, and after how long."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import tenacity

from bounce_sync.marketing_cloud.errors import MarketingCloudError


@dataclass(frozen=True)
class Patience:
    """How long one call is waited for and how often it is made again; all times in seconds."""

    connect_timeout: float = 10.0
    read_timeout: float = 120.0
    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 60.0
    longest_retry_after: float = 300.0


class MadeAgain(Exception):
    """A failure that may pass: `error` is what to raise when patience is out.

    `retry_after` is what the service asked us to wait, `attempts` bounds this kind of failure more
    tightly than patience does.
    """

    def __init__(
        self,
        error: MarketingCloudError,
        retry_after: float | None = None,
        attempts: int | None = None,
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after
        self.attempts = attempts


def retrying(patience: Patience) -> tenacity.Retrying:
    """Exponential waits with full jitter; the service's own Retry-After comes first."""
    jittered = tenacity.wait_random_exponential(
        multiplier=patience.first_wait, max=patience.longest_wait
    )

    def wait(state: tenacity.RetryCallState) -> float:
        failure = _failure(state)
        if failure.retry_after is None:
            return jittered(state)
        return min(failure.retry_after, patience.longest_retry_after)

    def stop(state: tenacity.RetryCallState) -> bool:
        return state.attempt_number >= (_failure(state).attempts or patience.attempts)

    def give_up(state: tenacity.RetryCallState) -> None:
        raise _failure(state).error

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(MadeAgain),
        wait=wait,
        stop=stop,
        retry_error_callback=give_up,
    )


def _failure(state: tenacity.RetryCallState) -> MadeAgain:
    failure = state.outcome.exception() if state.outcome else None
    if not isinstance(failure, MadeAgain):
        raise TypeError("Only a call that failed in a way that may pass is made again.")
    return failure


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a ``Retry-After`` header asks for, as a number or a date; None if neither."""
    if not header:
        return None
    try:
        seconds = float(header)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())
