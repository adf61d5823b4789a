"""Tables at rest: one file per asset and partition, whole or not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bounce_sync.damage import DamagedTable
from bounce_sync.storage import REPLACED, Lake, MissingTable


def _frame(count: int) -> pd.DataFrame:
    frame = pd.DataFrame({"key": [f"k{n}" for n in range(count)]})
    frame.attrs = {"policy": {"confirm": "held"}, "days": ["2026-01-01"]}
    return frame


def test_what_was_written_is_read_with_what_it_was_made_under(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.write("raw", "2026-01-01", _frame(3))
    read = lake.read("raw", "2026-01-01")
    pd.testing.assert_frame_equal(read, _frame(3))
    assert read.attrs == _frame(3).attrs
    assert lake.count("raw", "2026-01-01") == 3


def test_an_empty_day_is_a_table_and_a_missing_day_is_none(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.write("raw", "2026-01-01", _frame(0))
    assert lake.has("raw", "2026-01-01")
    assert lake.read("raw", "2026-01-01").empty
    with pytest.raises(MissingTable, match="2026-01-02"):
        lake.read("raw", "2026-01-02")


def test_a_rerun_replaces_its_own_partition_and_keeps_what_it_replaced(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    for day, count in (("2026-01-01", 1), ("2026-01-02", 2), ("2026-01-02", 5)):
        lake.write("raw", day, _frame(count))
    assert [lake.count("raw", day) for day in lake.partitions("raw")] == [1, 5]
    kept = list((tmp_path / REPLACED / "raw").iterdir())
    assert [len(pd.read_parquet(file)) for file in kept] == [2]


@pytest.mark.parametrize("spoil", [lambda whole: b"", lambda whole: whole[:-100]])
@pytest.mark.parametrize("look", [Lake.read, Lake.count, Lake.attributes])
def test_a_file_that_isnt_whole_is_named(
    tmp_path: Path, spoil: Callable[[bytes], bytes], look: Callable[[Lake, str, str], object]
) -> None:
    lake = Lake(str(tmp_path))
    path = lake.write("raw", "2026-01-01", _frame(3))
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DamagedTable, match=r"raw/2026-01-01.parquet is damaged"):
        look(lake, "raw", "2026-01-01")


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.write("raw", "2026-01-01", _frame(1))
    unwritable = pd.DataFrame({"key": [object()]})
    with pytest.raises(Exception, match="object"):
        lake.write("raw", "2026-01-01", unwritable)
    assert lake.count("raw", "2026-01-01") == 1
    assert [file.name for file in (tmp_path / "raw").iterdir()] == ["2026-01-01.parquet"]


def test_any_fsspec_url_is_a_lake() -> None:
    lake = Lake("memory://lake-of-a-test")
    lake.write("raw", "2026-01-01", _frame(2))
    assert lake.partitions("raw") == ["2026-01-01"]
    assert lake.count("raw", "2026-01-01") == 2
