"""SOAP messages of Marketing Cloud: requests written, answers read page by page.

The dialect is the one that recorded traffic shows (facts/marketing-cloud.md §4, facts/wire.md
1-18): SOAP 1.1, the token in a ``fueloauth`` header, errors as an ``OverallStatus`` under HTTP 200,
faults under HTTP 500. Answers are parsed with entities, DTDs and the network refused.
"""

from bounce_sync.marketing_cloud.soap.answers import (
    ILLEGAL_IN_XML,
    LOST,
    Fault,
    Page,
    outcomes,
    parse,
    read_fault,
    read_page,
    tells_of_timeout,
)
from bounce_sync.marketing_cloud.soap.requests import (
    EDGE,
    Filter,
    Retrieve,
    any_of,
    both,
    condition,
    element,
    message,
    named_text,
    typed,
    within,
)

__all__ = [
    "EDGE",
    "ILLEGAL_IN_XML",
    "LOST",
    "Fault",
    "Filter",
    "Page",
    "Retrieve",
    "any_of",
    "both",
    "condition",
    "element",
    "message",
    "named_text",
    "outcomes",
    "parse",
    "read_fault",
    "read_page",
    "tells_of_timeout",
    "typed",
    "within",
]
