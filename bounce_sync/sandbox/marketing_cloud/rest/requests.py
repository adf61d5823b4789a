"""A REST request and answer, and the service's errors (facts/marketing-cloud.md 5.7)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DOCUMENTATION = (
    "https://developer.salesforce.com/docs/atlas.en-us.mc-apis.meta/mc-apis/error-handling.htm"
)
JSON = "application/json; charset=utf-8"


class RestError(Exception):
    """`{"message", "errorcode", "documentation"}`, with what belongs beside them."""

    def __init__(
        self, status: int, errorcode: int, message: str, *, gap: bool = False, **more: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.gap = gap
        self.body = {
            "message": message,
            "errorcode": errorcode,
            "documentation": more.pop("documentation", ""),
            **more,
        }


def not_found(*, gap: bool = False) -> RestError:
    return RestError(404, 404, "Not Found", gap=gap, documentation=DOCUMENTATION)


@dataclass(frozen=True)
class Asked:
    """`place` holds the path's own parts, `query` the parameters by lower-case name without `$`."""

    place: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body. Raises RestError 10004 for what isn't JSON."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise RestError(400, 10004, "Unable to parse JSON.") from error

    def object(self) -> dict[str, Any]:
        """The body, where it must be one object; nothing at all counts as an empty one."""
        said = self.json() if self.body.strip() else {}
        if not isinstance(said, dict):
            raise RestError(400, 10001, "The request body must be a JSON object.")
        return said

    def number(self, name: str, default: int) -> int:
        """A positive whole number of the query, or the default."""
        said = self.query.get(name, "")
        return int(said) if said.isdecimal() and int(said) > 0 else default


@dataclass(frozen=True)
class Said:
    """An answer; `content` is JSON-able, or bytes that are JSON already."""

    content: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        if isinstance(self.content, bytes):
            return self.content
        return json.dumps(self.content, ensure_ascii=False, separators=(",", ":")).encode()
