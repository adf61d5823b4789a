"""Our SOQL reader against a public parser that nobody here wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from bounce_sync.sandbox.salesforce.soql.reader import read
from bounce_sync.sandbox.salesforce.soql.tokens import SoqlError
from bounce_sync_tests.clients import installed
from bounce_sync_tests.sandbox_salesforce.soql_corpus import INVALID, VALID

PARSER = "@jetstreamapp/soql-parser-js@6.3.1"
SCRIPT = Path(__file__).parent / "oracle" / "readable.cjs"

BENT = [
    statement.replace(old, new, 1)
    for statement in VALID
    for old, new in (
        ("SELECT", "SELEKT"),
        (" FROM ", " "),
        ("WHERE", "WHERE WHERE"),
        ("'", ""),
        (")", ""),
        (" = ", " "),
        ("LIMIT", "LIMIT LIMIT"),
        ("AND", "XOR"),
    )
    if old in statement
]
"""Valid statements spoilt in one place. Some stay valid: the two must agree on which."""


def readable(statement: str) -> bool:
    try:
        read(statement)
    except SoqlError:
        return False
    return True


@pytest.mark.external
@pytest.mark.clients
def test_the_reader_agrees_with_soql_parser_js() -> None:
    corpus = [*VALID, *INVALID, *BENT]
    theirs = installed.node(PARSER).run(SCRIPT, corpus)
    ours = [readable(statement) for statement in corpus]
    differing = [
        (statement, mine)
        for statement, mine, other in zip(corpus, ours, theirs, strict=True)
        if mine != other
    ]
    assert not differing, "ours says: " + repr(differing)
