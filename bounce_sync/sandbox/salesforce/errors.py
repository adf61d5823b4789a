"""The service's errors: one class for what stops a request, one for what spoils a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class ServiceError(Exception):
    """Ends the request: answered as ``[{"message", "errorCode"[, "fields"]}]`` under its status."""

    def __init__(
        self, status: int, code: str, message: str, fields: list[str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.fields = fields

    def body(self) -> list[dict[str, Any]]:
        """The JSON of the answer."""
        error: dict[str, Any] = {"message": self.message, "errorCode": self.code}
        if self.fields is not None:
            error["fields"] = self.fields
        return [error]


@dataclass(frozen=True)
class RowError:
    """One record that wasn't written, and why."""

    code: str
    message: str
    fields: tuple[str, ...] = ()

    def in_collection(self) -> dict[str, Any]:
        """As sObject Collections report it (the code's key is ``statusCode`` there)."""
        return {"statusCode": self.code, "message": self.message, "fields": list(self.fields)}

    def in_csv(self) -> str:
        """As Bulk API 2.0 reports it in ``sf__Error`` (facts/wire.md 36)."""
        return f"{self.code}:{self.message}:{''.join(f'{name} ' for name in self.fields)}--"

    def alone(self) -> ServiceError:
        """As a single-record request reports it."""
        status = 404 if self.code in ("ENTITY_IS_DELETED", "NOT_FOUND") else 400
        return ServiceError(status, self.code, self.message, list(self.fields))


def not_found(message: str = "The requested resource does not exist") -> ServiceError:
    """404, for addresses and ids alike."""
    return ServiceError(404, "NOT_FOUND", message)


def no_such_column(field: str, entity: str) -> str:
    """What a missing field and one hidden by field-level security are both told."""
    return (
        f"No such column '{field}' on entity '{entity}'. If you are attempting to use a custom "
        "field, be sure to append the '__c' after the custom field name. Please reference your "
        "WSDL or the describe call for the appropriate names."
    )


def no_such_column_on_sobject(field: str, entity: str) -> ServiceError:
    """The same in a JSON body."""
    return ServiceError(
        400, "INVALID_FIELD", f"No such column '{field}' on sobject of type {entity}"
    )


def no_such_type(name: str) -> str:
    """What a statement about an object that doesn't exist is told."""
    return (
        f"sObject type '{name}' is not supported. If you are attempting to use a custom object, be "
        "sure to append the '__c' after the entity name. Please reference your WSDL or the "
        "describe call for the appropriate names."
    )


def session_expired() -> ServiceError:
    """The 401 that clients refresh their token on."""
    return ServiceError(401, "INVALID_SESSION_ID", "Session expired or invalid")


def bad_json(detail: str) -> ServiceError:
    """A body that isn't the JSON the resource takes."""
    return ServiceError(400, "JSON_PARSER_ERROR", detail)
