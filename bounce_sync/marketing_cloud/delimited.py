"""Delimited files as SFMC's extracts write them, read strictly and in chunks of columns.

SFMC leaves the delimiter, the header, the qualifier and the encoding to whoever sets up the extract
(facts/marketing-cloud.md §8). A file that isn't qualified shifts its columns at the first comma in
a reason: such a row, like any other that can't be right, is an error that names file and line.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bounce_sync.marketing_cloud.errors import Place, UnreadableFile

ROWS_A_CHUNK = 50_000
LONGEST_FIELD = 1_000_000

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Shape:
    """How a file is written. Without a header, `columns` names its columns in order."""

    delimiter: str = ","
    header: bool = True
    encoding: str = "utf-8"
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file: columns by name as the file spells it, and each row's line."""

    columns: dict[str, list[str]]
    lines: list[int]
    place: Place

    def located(self, error: UnreadableFile | Exception) -> UnreadableFile:
        """An error about a row of this chunk, as one about the file's line."""
        place = getattr(error, "place", self.place)
        line = self.lines[place.row - 1] if place.row else None
        answer = getattr(error, "answer", str(error))
        return UnreadableFile(replace(place, row=None, line=line), answer)


def unpacked(name: str, content: bytes, place: Place) -> bytes:
    """The file's content, out of its .zip or .gz. Raises `UnreadableFile` for a damaged one."""
    try:
        if name.lower().endswith(".gz"):
            if not content:
                raise EOFError
            return gzip.decompress(content)
        if name.lower().endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = [each for each in archive.infolist() if not each.is_dir()]
                if len(members) != 1:
                    raise UnreadableFile(place, f"The archive holds {len(members)} files, not one")
                return archive.read(members[0])
    except UnreadableFile:
        raise
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
        raise UnreadableFile(place, f"The archive isn't whole ({type(error).__name__})") from None
    return content


def chunks(content: bytes, shape: Shape, place: Place, size: int = ROWS_A_CHUNK) -> Iterator[Chunk]:
    """The file's rows, `size` at a time: at least one chunk, if only with the names of columns, but
    none for an empty file.

    Raises `UnreadableFile` for text in another encoding, a row of more or fewer fields than there
    are columns, and a file that ends within a quoted field.
    """
    encoding = _encoding(content, shape.encoding, place)
    text = io.TextIOWrapper(io.BytesIO(content), encoding=encoding, errors="strict", newline="")
    previous_limit = csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(text, delimiter=shape.delimiter, strict=True)
    try:
        names = _names(next(reader, None) if shape.header else shape.columns, place)
        rows: list[list[str]] = []
        lines: list[int] = []
        for row in reader:
            if len(row) != len(names):
                if not row:
                    continue
                raise UnreadableFile(
                    replace(place, line=reader.line_num),
                    f"The row has {len(row)} fields, the file {len(names)} columns",
                )
            rows.append(row)
            lines.append(reader.line_num)
            if len(rows) == size:
                yield _chunk(names, rows, lines, place)
                rows, lines = [], []
        if rows or (names and not lines):
            yield _chunk(names, rows, lines, place)
    except UnicodeDecodeError:
        line = _undecodable_line(content, encoding)
        raise UnreadableFile(replace(place, line=line), f"The text isn't {encoding}") from None
    except csv.Error as error:
        ended = "unexpected end of data" in str(error)
        said = "The file ends within a quoted field: it was cut" if ended else f"No CSV: {error}"
        raise UnreadableFile(replace(place, line=reader.line_num), said) from None
    finally:
        csv.field_size_limit(previous_limit)


def _chunk(names: Sequence[str], rows: list[list[str]], lines: list[int], place: Place) -> Chunk:
    columns = map(list, zip(*rows, strict=True)) if rows else ([] for _ in names)
    return Chunk(dict(zip(names, columns, strict=True)), lines, place)


def _names(names: Sequence[str] | None, place: Place) -> list[str]:
    found = [name.strip() for name in names or []]
    if twice := [n for n, name in enumerate(found, 1) if found.count(name) > 1]:
        # By number: in a file without a header the names are somebody's.
        columns = ", ".join(map(str, twice))
        raise UnreadableFile(replace(place, line=1), f"Columns {columns} aren't of different names")
    return found


def _encoding(content: bytes, configured: str, place: Place) -> str:
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return encoding
    encoding = codecs.lookup(configured).name
    if encoding == "utf-16":  # without its mark
        return "utf-16-be" if content.startswith(b"\0") else "utf-16-le"
    # A reason may hold a NUL, a file's first letter is none.
    if b"\0" in content[:2] and not encoding.startswith("utf-16"):
        raise UnreadableFile(place, f"The text isn't {configured}; it looks like UTF-16")
    return encoding


def _undecodable_line(content: bytes, encoding: str) -> int:
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        return content[: error.start].decode(encoding, "ignore").count("\n") + 1
    return content.decode(encoding).count("\n") + 1
