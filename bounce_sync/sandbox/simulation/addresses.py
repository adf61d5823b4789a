"""Mail domains and people of the simulated world.

Every domain lies under ``.example``, which nobody can own: no export of a sandbox can ever reach
a real mailbox. The trusted ones, where SFMC holds an address at its first hard bounce, stand for
the big consumer providers; Salesforce doesn't publish its list (facts/marketing-cloud.md §2).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np
import numpy.typing as npt


class Receiver(IntEnum):
    """What kind of mail system answers for a domain; it decides the mix of its bounces."""

    TRUSTED = 0
    CONSUMER = 1
    OFFICE = 2
    GATEWAY = 3
    LEGACY = 4


@dataclass(frozen=True)
class Domain:
    """A mail domain: who answers for it, and its share of the subscribers."""

    name: str
    receiver: Receiver
    weight: float


_PROVIDERS = (
    Domain("bluepost.example", Receiver.TRUSTED, 17),
    Domain("quickmail.example", Receiver.TRUSTED, 9),
    Domain("orchardmail.example", Receiver.TRUSTED, 7),
    Domain("windowbox.example", Receiver.TRUSTED, 6),
    Domain("homeline.example", Receiver.TRUSTED, 3),
    Domain("postfach.example", Receiver.CONSUMER, 6),
    Domain("courriel.example", Receiver.CONSUMER, 5),
    Domain("pochta.example", Receiver.CONSUMER, 4),
    Domain("yuubin.example", Receiver.CONSUMER, 4),
    Domain("campus.example", Receiver.LEGACY, 3),
    Domain("oldnet.example", Receiver.LEGACY, 3),
    Domain("bücherei.example", Receiver.CONSUMER, 1),
)
_COMPANIES = 600
_COMPANY_WEIGHT = 32.0
_FIRST_WORDS = (
    "alder", "amber", "anchor", "basalt", "beacon", "birch", "bright", "cedar", "cobalt",
    "copper", "delta", "ember", "falcon", "fjord", "granite", "harbor", "indigo", "juniper",
    "lumen", "maple", "meridian", "nordic", "orbit", "pioneer", "quartz", "river", "sable",
    "summit", "tundra", "vertex",
)  # fmt: skip
_SECOND_WORDS = (
    "works", "systems", "partners", "logistics", "foods", "media", "energy", "group", "labs",
    "trade", "motors", "health", "textiles", "optics", "marine", "capital", "design", "steel",
    "software", "travel",
)  # fmt: skip


@cache
def domains() -> tuple[Domain, ...]:
    """Every mail domain, providers first, then companies with a long tail of weights."""
    receivers = (Receiver.OFFICE, Receiver.OFFICE, Receiver.GATEWAY, Receiver.LEGACY)
    names = [f"{first}-{second}" for second in _SECOND_WORDS for first in _FIRST_WORDS]
    tail = np.arange(1, _COMPANIES + 1, dtype=float) ** -0.8
    shares = (tail * (_COMPANY_WEIGHT / tail.sum())).tolist()
    return _PROVIDERS + tuple(
        Domain(f"{name}.example", receivers[number % len(receivers)], share)
        for number, (name, share) in enumerate(zip(names[:_COMPANIES], shares, strict=True))
    )


@cache
def domain_names() -> tuple[str, ...]:
    """Each domain as SFMC and the wire spell it: in ASCII."""
    return tuple(domain.name.encode("idna").decode() for domain in domains())


@cache
def domain_weights() -> npt.NDArray[np.float64]:
    """Each domain's share of the subscribers."""
    weights = np.array([domain.weight for domain in domains()])
    return weights / weights.sum()


@dataclass(frozen=True)
class Name:
    """A name as its bearer writes it, and as it stands in an address."""

    written: str
    ascii: str


def _names(text: str) -> tuple[Name, ...]:
    pairs = (entry.partition(":") for entry in text.split())
    return tuple(Name(written, plain or written.lower()) for written, _, plain in pairs)


FIRST_NAMES = _names(
    "Anna Ben Clara David Elena Finn Grace Hugo Ines Jonas Karla Liam Maya Noah Olivia Pablo "
    "Quinn Rosa Samuel Tessa Umar Vera William Xenia Yusuf Zoë:zoe Jürgen:juergen Søren:soren "
    "François:francois Łukasz:lukasz Íñigo:inigo Ольга:olga Дмитрий:dmitri Νίκος:nikos "
    "さくら:sakura 健太:kenta 小明:xiaoming 민준:minjun فاطمة:fatima יעל:yael प्रिया:priya "
    "Nguyễn:nguyen O'Neil:oneil Mary-Jane:maryjane Thị:thi"
)
LAST_NAMES = _names(
    "Smith Jones Garcia Müller:mueller Schmidt Dubois Rossi Silva Novak Kowalski Johansson "
    "Andersen Nielsen Virtanen Horváth:horvath Popescu Yılmaz:yilmaz Ivanova Петров:petrov "
    "Παπαδόπουλος:papadopoulos 佐藤:sato 鈴木:suzuki 王:wang 李:li 김:kim 박:park حسن:hassan "
    "כהן:cohen शर्मा:sharma D'Angelo:dangelo Smith-Jones:smithjones MacLeod O’Brien:obrien "
    "Åström:astrom Çelik:celik Đặng:dang García-Márquez:garciamarquez Brown Davis Miller "
    "Wilson Moore Taylor Thomas Jackson White Harris Martin Thompson Young Walker Hall Lewis"
)


def local_part(first: Name, last: Name, number: int) -> str:
    """The part before the @: unique by its number, in the ways people spell theirs."""
    match number % 5:
        case 0:
            return f"{first.ascii}.{last.ascii}{number}"
        case 1:
            return f"{first.ascii[0]}{last.ascii}{number}"
        case 2:
            return f"{last.ascii}_{first.ascii}.{number}"
        case 3:
            return f"{first.ascii}{number}"
        case _:
            return (
                f"{first.ascii}.{last.ascii}{number}+news"
                if number % 3 == 0
                else (f"{first.ascii}-{last.ascii}{number}")
            )


def as_crm_spells(address: str, number: int) -> str:
    """The same address as a person typed it into the CRM: capitals, or the domain unencoded."""
    if "@xn--" in address:
        local, _, domain = address.partition("@")
        return f"{local}@{domain.encode().decode('idna')}"
    return address.title() if number % 17 == 0 else address
