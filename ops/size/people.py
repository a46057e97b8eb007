"""Who uses the gateway, and how much: kinds of people, and what one of them asks in a working day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ops.access import OpsError
from stacks.measured import AGENT, CHAT, CPU, PROGRAM, SECONDS

OFFICE: Final[Mapping[int, float]] = dict(enumerate((1, 4, 14, 13, 12, 6, 11, 12, 11, 9, 5, 2), start=7))
"""Of a hundred requests of people at work, how many come in which hour: from seven on, and most from nine."""

NIGHT: Final[Mapping[int, float]] = dict.fromkeys((0, 1, 2, 3, 4, 5), 100 / 6)
"""The same of what a program does overnight."""


@dataclass(frozen=True)
class Kind:
    """A kind of use, and what one person of it asks in a working day.

    `seconds` are how long the gateway has a request in hand; `cpu` what it costs the gateway in seconds of one of the
    processors that docs/performance.md was measured on.
    """

    name: str
    share: float  # of all people, unless another one is asked for
    requests: float
    prompt_kb: float
    answer_kb: float
    seconds: float
    cpu: float
    hours: Mapping[int, float]


KINDS: Final = (
    # A question in a chat: "short, streamed".
    Kind("chat", 0.70, requests=40, prompt_kb=8, answer_kb=4, seconds=SECONDS[CHAT], cpu=CPU[CHAT], hours=OFFICE),
    # A coding agent, ten requests a minute while it works, for an hour and a half in all: "400 KB, /v1/messages".
    Kind("agent", 0.25, requests=900, prompt_kb=400, answer_kb=6, seconds=SECONDS[AGENT], cpu=CPU[AGENT], hours=OFFICE),
    # A program that goes through a list: "short, plain".
    Kind(
        *("batch", 0.05),
        requests=2000,
        prompt_kb=8,
        answer_kb=2,
        seconds=SECONDS[PROGRAM],
        cpu=CPU[PROGRAM],
        hours=NIGHT,
    ),
)
"""Their processor time is ours in docs/performance.md, by way of stacks/measured.py. What people do is taken from what
the agents sent in its tests (prompts of 100 to 1,600 KB, ten a minute) and is yours to correct: `make usage` has what
yours do."""

NAMES: Final = tuple(kind.name for kind in KINDS)


@dataclass(frozen=True)
class Company:
    """So many people, of whom these shares use the gateway in each way."""

    users: int
    shares: Mapping[str, float]
    kinds: tuple[Kind, ...] = KINDS

    def people(self, kind: Kind) -> float:
        """How many people are of this kind."""
        return self.users * self.shares[kind.name]

    def requests(self, kind: Kind) -> float:
        """Their requests in a working day."""
        return self.people(kind) * kind.requests


def company(users: int, shares: Mapping[str, float] | None = None) -> Company:
    """A company by its size, with other shares where they are given.

    Raises
    ------
    OpsError
        There is nobody, a kind is not known, or the shares are none.
    """
    if users < 1:
        raise OpsError(f"USERS={users}: say how many people will use it, at least one.")
    given = {kind.name: kind.share for kind in KINDS} | dict(shares or {})
    if unknown := sorted(given.keys() - set(NAMES)):
        raise OpsError(f"there is no kind of use {', '.join(unknown)}: there are {', '.join(NAMES)}.")
    if wrong := [f"{name}={share:g}" for name, share in given.items() if not 0 <= share <= 1]:
        raise OpsError(f"{', '.join(wrong)}: a share of the people is between 0 and 1; one may do several things.")
    return Company(users, given)
