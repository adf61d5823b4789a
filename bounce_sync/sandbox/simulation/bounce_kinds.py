"""The kinds of bounce the simulated receivers answer with, as SFMC classifies them.

Categories, subcategories and their ids: facts/marketing-cloud.md §1.5 (KB 000229837; the ids of
``BounceType`` from KB 000387252). What the receiving server said is in `reasons.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

HARD = (1, "Hard bounce")
SOFT = (2, "Soft bounce")
BLOCK = (3, "Block bounce")
UNKNOWN = (4, "Unknown bounce")
TECHNICAL = (5, "Technical/Other bounce")

DELAYED = (1, "delayed")
IMMEDIATE = (2, "immediate")


@dataclass(frozen=True)
class BounceKind:
    """One way in which a mail comes back."""

    name: str
    category: tuple[int, str]
    subcategory: tuple[int, str] | None
    smtp_code: int | None
    delayed_share: float = 0.0
    """Share that SFMC records only when its retries end, up to 72 hours after the send."""


KINDS = (
    BounceKind("user_unknown", HARD, (2001, "User Unknown"), 550),
    BounceKind("mailbox_disabled", HARD, (2999, "Other"), 554),
    BounceKind("domain_unknown", HARD, (2002, "Domain Unknown"), 550, 0.2),
    BounceKind("bad_syntax", HARD, (2003, "Bad Address Syntax"), 501),
    BounceKind("inactive_hard", HARD, (3002, "Inactive Account"), 550),
    BounceKind("mailbox_full", SOFT, (3001, "Mailbox Full"), 552, 0.7),
    BounceKind("inactive_soft", SOFT, (3002, "Inactive Account"), 450, 0.6),
    BounceKind("domain_failure", SOFT, (3003, "Temporary Domain Failure"), 451, 0.9),
    BounceKind("soft_other", SOFT, (3999, "Other"), 452, 0.5),
    BounceKind("complaint", BLOCK, (1001, "Complaints"), 554),
    BounceKind("spam", BLOCK, (1002, "Spamblocked"), 554),
    BounceKind("content", BLOCK, (1004, "Content"), 550),
    BounceKind("url", BLOCK, (1005, "URL Block"), 554),
    BounceKind("authentication", BLOCK, (1010, "Authentication"), 550),
    BounceKind("block_other", BLOCK, (1999, "Other"), 571, 0.1),
    BounceKind("busy", TECHNICAL, (4001, "Server Too Busy"), 421, 0.6),
    BounceKind("format", TECHNICAL, (4002, "Data Format Error"), 503),
    BounceKind("network", TECHNICAL, (4003, "Network Error"), None, 0.8),
    BounceKind("technical_other", TECHNICAL, (4999, "Other"), 451, 0.4),
    BounceKind("unclear", UNKNOWN, (9999, "Unknown"), None, 0.1),
    BounceKind("unreadable", UNKNOWN, None, None),
)
POSITION = {kind.name: position for position, kind in enumerate(KINDS)}
"""A bounce kind's number, as arrays and pending events hold it."""
