"""Files of the lake that aren't whole: cut by a full disk, a copy that broke off, a bad disk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pyarrow as pa


class DamagedTable(Exception):
    """A stored file that can't be read as a table; nothing may be built on it."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} is damaged: it can't be read as a table. Move it out of the lake, then "
            "materialise that day again, or put back what it replaced last (`_replaced` in the "
            "lake, 30 days)."
        )
        self.path = path


@contextlib.contextmanager
def told(path: object) -> Iterator[None]:
    """Around reading the file at `path`: raises `DamagedTable` where it isn't whole."""
    try:
        yield
    except pa.ArrowException:
        raise DamagedTable(str(path)) from None
    except OSError as error:
        if type(error) is not OSError or error.errno is not None:  # not Arrow's own
            raise
        raise DamagedTable(str(path)) from None
