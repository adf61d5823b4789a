"""One request as the service's parts see it."""

from dataclasses import dataclass

from starlette.types import Scope

from bounce_sync.sandbox import faults
from bounce_sync.sandbox.marketing_cloud.access import Caller
from bounce_sync.sandbox.store import Store


@dataclass(frozen=True)
class Call:
    """Who asks, of which tenant, and the fault that this request may have been given."""

    store: Store
    caller: Caller
    scope: Scope

    @property
    def mid(self) -> int:
        return self.caller.mid

    def fault(self, kind: str) -> faults.Fault | None:
        """The request's fault if it is of this kind; asked where it would happen, it is counted."""
        return faults.take(self.scope, kind)
