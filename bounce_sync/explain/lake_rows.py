"""Single rows out of the lake's files, however many there are.

The files are `<lake>/<asset>/<partition>.parquet` on any fsspec URL, and for a while
`<lake>/_replaced/<asset>/<partition>.<when>.parquet` of those that were replaced. Only the columns
that are searched are read of every file; the others only of files that have a match.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePosixPath

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from upath import UPath

from bounce_sync import damage
from bounce_sync.tables import TABLES

_FILE = "__filename"
_REPLACED = "_replaced"
_NULLABLE = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}


class LakeRows:
    """The rows of a lake that concern one person."""

    def __init__(self, url: str) -> None:
        root = UPath(url)
        self._files, self._root = root.fs, root.path

    def having(
        self, asset: str, *, replaced_too: bool = False, **wanted: Collection[str]
    ) -> pd.DataFrame:
        """Rows of `asset` in which any of the columns has one of its wanted texts, whatever case.

        The table's columns and `partition`, in order of partition, what was replaced first. Two ids
        of 15 characters that differ in case only are both found. Raises `DamagedTable`.
        """
        paths = sorted(self._files.glob(f"{self._root}/{asset}/*.parquet"))
        if replaced_too:
            old = self._files.glob(f"{self._root}/{_REPLACED}/{asset}/*.parquet")
            paths = sorted(old) + paths
        conditions = [
            pc.utf8_lower(pc.field(column)).isin(sorted({text.lower() for text in texts}))
            for column, texts in wanted.items()
            if texts
        ]
        columns = list(TABLES[asset].to_schema().columns)
        if not paths or not conditions:
            return pd.DataFrame(columns=[*columns, "partition"])
        condition = conditions[0]
        for other in conditions[1:]:
            condition |= other
        hits = self._search(paths, condition)[_FILE].unique().to_pylist()
        found = self._dataset(hits or paths[:1]).to_table([*columns, _FILE], filter=condition)
        rows = found.to_pandas(ignore_metadata=True, types_mapper=_NULLABLE.get)
        files = [PurePosixPath(path) for path in rows.pop(_FILE)]
        rows["partition"] = pd.Series([file.name.partition(".")[0] for file in files], dtype="str")
        rows["newest"] = [file.parent.parent.name != _REPLACED for file in files]
        rows = rows.sort_values(["partition", "newest"], kind="stable", ignore_index=True)
        return rows.drop(columns="newest")

    def _search(self, paths: list[str], condition: pc.Expression) -> pa.Table:
        try:
            return self._dataset(paths).to_table([_FILE], filter=condition)
        except (pa.ArrowException, OSError):
            for path in paths:
                with damage.told(path), self._files.open(path, "rb") as file:
                    pq.ParquetFile(file).read()
            raise

    def _dataset(self, paths: list[str]) -> ds.Dataset:
        return ds.dataset(paths, format="parquet", filesystem=self._files)
