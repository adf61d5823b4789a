"""Rowsets that can't be right, and a service that answers page by page as a test tells it."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bounce_sync.marketing_cloud.connection import Account, Connection
from bounce_sync.marketing_cloud.data_extensions import PAGE, DataExtensions
from bounce_sync.marketing_cloud.errors import UnreadableAnswer
from bounce_sync_tests.marketing_cloud.scripted import Script, scripted
from bounce_sync_tests.marketing_cloud.test_broken_answers import PATIENCE

ROW = {"keys": {}, "values": {"subscriberkey": "ann@mail.example"}}


def page(count: Any, rows: int, row: Any = ROW) -> dict[str, Any]:
    return {"count": count, "items": [row] * rows}


def pages(*told: Any) -> Script:
    """These pages by their number, as JSON where they aren't bytes."""

    def script(method: str, path: str, body: bytes) -> bytes:
        number = int(parse_qs(urlsplit(path).query)["$page"][0])
        answer = told[number - 1]
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    return script


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ([page(3, 2)], "3 rows were announced and 2 came"),
        ([page(2, 3)], "2 rows were announced and 3 came"),
        ([page(PAGE + 2, PAGE), page(PAGE + 2, 1)], "2502 rows were announced and 2501 came"),
        ([page(PAGE + 2, PAGE), page(PAGE + 3, 2)], "page 2: The count changed from 2502 to 2503"),
        ([page(None, 1)], "page 1: The rowset has no count"),
        ([{"items": [ROW]}], "page 1: The rowset has no count"),
        ([[ROW]], "page 1: The rowset has no count"),
        ([page(1, 1, {"keys": {}})], "page 1: The rowset's items aren't as documented"),
        (
            [page(1, 1, {"keys": {}, "values": {"sent": 7}})],
            "as documented .a value that is no text",
        ),
        ([page(1, 1, "row")], "page 1: The rowset's items aren't as documented"),
        ([b'{"count": 1, "items": [{"keys"'], "page 1: The answer is no JSON"),
        ([b'{"count": 1, "items": "\xff"}'], "page 1: The answer is no JSON"),
    ],
)
def test_a_rowset_that_cant_be_right_is_refused(told: list[Any], complaint: str) -> None:
    with (
        scripted(pages(*told)) as url,
        closing(Connection(Account(url, "id", "s3cret", "77"), PATIENCE)) as connection,
    ):
        extensions = DataExtensions(connection, "77")
        with pytest.raises(UnreadableAnswer, match=complaint) as caught:
            list(extensions.pages("mine", extensions.page("mine", 1)))
    assert "GET rowset of data extension mine, business unit 77" in str(caught.value)
    assert "ann@" not in str(caught.value)
