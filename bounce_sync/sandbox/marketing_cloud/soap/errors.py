"""How the SOAP API says no."""


class Refused(Exception):
    """`Error: …` in OverallStatus, under HTTP 200.

    `gap`: this may be something that the service has and the sandbox lacks, so it is listed on
    stderr.
    """

    def __init__(self, message: str, *, gap: bool = True) -> None:
        super().__init__(message)
        self.gap = gap


class Unreadable(Exception):
    """The service couldn't deserialise the request: a client fault, under HTTP 500."""


class Rejected(Exception):
    """One object that can't be made or changed, among others that can: `StatusCode` Error."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
