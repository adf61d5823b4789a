"""What holds in every simulated tenant, for tests of more than one."""

from __future__ import annotations

from bounce_sync.sandbox.store import Store


def assert_only_the_first_is_unique(store: Store) -> None:
    """``IsUnique`` marks the first bounce, open and click of each subscriber and job."""
    for table in ("bounce", "opened", "clicked"):
        groups: dict[tuple[int, int], list[tuple[str, int]]] = {}
        for job, subscriber, at, unique in store.execute(
            f"SELECT job_id, subscriber_id, event_date, is_unique FROM {table}"
        ):
            groups.setdefault((job, subscriber), []).append((at, unique))
        assert any(len(events) > 1 for events in groups.values()), table
        for events in groups.values():
            marks = [unique for _, unique in sorted(events)]
            assert marks == [1] + [0] * (len(marks) - 1), table
