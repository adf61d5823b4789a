"""Where tables rest: one Parquet file per asset and partition, on any fsspec URL.

A file is written under a temporary name and renamed, so that a reader never sees half a table; the
file it replaces is kept aside for a while. What a plan was made under travels in the file
(``frame.attrs``). This module must not know what a table means: it stores bad tables too, because
what failed a check has to be looked at.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow.parquet as pq
from upath import UPath

from bounce_sync import damage

LATEST = "latest"
"""Stands in the place of the partition for an asset that has none."""

REPLACED = "_replaced"
KEEP_REPLACED = timedelta(days=30)


class MissingTable(LookupError):
    """A partition that was never stored: not the same as an empty day."""

    def __init__(self, asset: str, partition: str) -> None:
        super().__init__(
            f"{asset} of {partition} was never stored. Materialise that partition of {asset} first "
            "(in the UI: the asset's page, Materialize, that day)."
        )
        self.asset, self.partition = asset, partition


class Lake:
    """The tables of one installation, under one folder.

    Args:
        url: any fsspec URL or a local path. Layout: ``<url>/<asset>/<partition>.parquet``.
    """

    def __init__(self, url: str) -> None:
        self.root = UPath(url)

    def path(self, asset: str, partition: str) -> UPath:
        return self.root / asset / f"{partition}.parquet"

    def has(self, asset: str, partition: str) -> bool:
        return self.path(asset, partition).exists()

    def partitions(self, asset: str) -> list[str]:
        """Stored partitions, oldest first."""
        folder = self.root / asset
        return sorted(file.stem for file in folder.glob("*.parquet")) if folder.exists() else []

    def read(
        self, asset: str, partition: str, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The table as stored, unvalidated. Raises `MissingTable`, `DamagedTable`."""
        with self._opened(asset, partition) as file:
            return pd.read_parquet(file, columns=list(columns) if columns else None)

    def count(self, asset: str, partition: str) -> int:
        """Rows of a stored table, without reading them. Raises as `read` does."""
        with self._opened(asset, partition) as file:
            return int(pq.ParquetFile(file).metadata.num_rows)

    def attributes(self, asset: str, partition: str) -> dict[str, Any]:
        """What travels with a stored table (``frame.attrs``), without its rows.

        Raises as `read` does.
        """
        with self._opened(asset, partition) as file:
            stored = pq.ParquetFile(file).schema_arrow.metadata or {}
        return dict(json.loads(stored.get(b"PANDAS_ATTRS", b"{}")))

    @contextlib.contextmanager
    def _opened(self, asset: str, partition: str) -> Iterator[Any]:
        path = self.path(asset, partition)
        with damage.told(path):
            try:
                with path.open("rb") as file:
                    yield file
            except FileNotFoundError:
                raise MissingTable(asset, partition) from None

    def write(self, asset: str, partition: str, frame: pd.DataFrame) -> UPath:
        """Replaces one partition of one asset and nothing else; the file it replaces is kept."""
        path = self.path(asset, partition)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.parent / f".{partition}-{uuid.uuid4().hex}.tmp"
        try:
            with unfinished.open("wb") as file:
                frame.to_parquet(file, index=False)
            self._set_aside(path)
            unfinished.rename(path)
        finally:
            unfinished.unlink(missing_ok=True)
        return path

    def _set_aside(self, path: UPath) -> None:
        if not path.exists():
            return
        now = datetime.now(UTC)
        folder = self.root / REPLACED / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / f"{path.stem}.{now:%Y%m%dT%H%M%S%f}.parquet"
        kept.write_bytes(path.read_bytes())
        for old in _older_than(folder.glob("*.parquet"), now - KEEP_REPLACED):
            old.unlink(missing_ok=True)


def _older_than(files: Iterable[UPath], limit: datetime) -> list[UPath]:
    return [file for file in files if file.stem.rpartition(".")[2] < f"{limit:%Y%m%dT%H%M%S%f}"]


Contract = Callable[[Lake, str, str], pd.DataFrame]
"""Loads a table of the lake by asset and partition, or refuses it by name."""


class LakeIOManager(dg.IOManager):
    """Between assets and the lake: stores anything, loads only what keeps its contract."""

    def __init__(self, lake: Lake, load: Contract) -> None:
        self._lake, self._load = lake, load

    def handle_output(self, context: dg.OutputContext, obj: pd.DataFrame) -> None:
        path = self._lake.write(context.asset_key.path[-1], _partition(context), obj)
        context.add_output_metadata(
            {"dagster/uri": str(path), "dagster/partition_row_count": len(obj), "rows": len(obj)}
        )

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        return self._load(self._lake, context.asset_key.path[-1], _partition(context))


def _partition(context: dg.InputContext | dg.OutputContext) -> str:
    return context.partition_key if context.has_partition_key else LATEST
