"""Salesforce record ids, and what becomes of them on their way into a SubscriberKey.

Ids follow facts/salesforce.md §6: three characters of key prefix, twelve in base 62, three of
suffix that restore the case of the first fifteen. They count upwards, as an org's do, so that
neighbours differ in the case of a single letter: a reader that folds case mixes people up.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

ACCOUNT, CONTACT, LEAD, USER, ORGANIZATION = "001", "003", "00Q", "005", "00D"

_INSTANCE = "bs00000"
_DIGITS = np.frombuffer(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", dtype=np.uint8
)
_SUFFIX = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", dtype=np.uint8)
_SERIAL_DIGITS = 5
_FIRST_SERIAL = 10 * 62**4 + 37 * 62**3 + 12 * 62**2
"""Serials start at AbC00: every one has letters of both cases."""


def record_ids(prefix: str, serials: npt.NDArray[np.int64]) -> list[str]:
    """The 18-character ids of the records numbered ``serials`` (from 0) of one object."""
    count = len(serials)
    characters = np.empty((count, 18), dtype=np.uint8)
    characters[:, :10] = np.frombuffer((prefix + _INSTANCE).encode(), dtype=np.uint8)
    rest = serials + _FIRST_SERIAL
    for position in range(14, 14 - _SERIAL_DIGITS, -1):
        rest, digit = np.divmod(rest, 62)
        characters[:, position] = _DIGITS[digit]
    is_upper = (characters[:, :15] >= ord("A")) & (characters[:, :15] <= ord("Z"))
    bits = is_upper.reshape(count, 3, 5) @ (1 << np.arange(5))
    characters[:, 15:] = _SUFFIX[bits]
    return [row.decode() for row in characters.view("S18").ravel().tolist()]


def key_forms(ids: list[str], rng: np.random.Generator) -> list[str]:
    """SubscriberKeys as tenants hold them: most the id itself, some shortened, some case-damaged.

    A shortened key is given only where no other key differs from it by case alone: SFMC compares
    keys without case and would have refused the second subscriber.
    """
    draws = rng.random(len(ids)).tolist()
    folded_stems: dict[str, int] = {}
    for record_id in ids:
        stem = record_id[:15].casefold()
        folded_stems[stem] = folded_stems.get(stem, 0) + 1
    keys = []
    for record_id, draw in zip(ids, draws, strict=True):
        if draw < 0.04 and folded_stems[record_id[:15].casefold()] == 1:
            keys.append(record_id[:15])
        elif 0.04 <= draw < 0.06:
            keys.append(record_id.upper())
        elif 0.06 <= draw < 0.08:
            keys.append(record_id.lower())
        else:
            keys.append(record_id)
    return keys
