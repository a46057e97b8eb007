"""How much is measured: by default what takes ten minutes on two processors that do nothing else, or a trial of two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Scale:
    """How often each thing is done.

    Parameters
    ----------
    rounds
        How often the three are asked in turn, of each workload.
    short
        Short requests in a round.
    agents
        Requests of an agent in a round, by the size of the prompt in KB.
    keys
        People of whom each has a key; those of the burst.
    seconds
        Of an open loop, in a round.
    fallbacks
        Requests that fall back.
    memory
        Short requests over which the memory's growth is measured; 0 for those of the run alone.
    """

    rounds: int
    short: int
    agents: dict[int, int]
    keys: int
    seconds: float
    fallbacks: int
    memory: int = 0


FULL: Final = Scale(rounds=2, short=80, agents={100: 10, 400: 6, 1600: 4}, keys=500, seconds=15, fallbacks=40)
QUICK: Final = Scale(rounds=1, short=40, agents={100: 4, 400: 4, 1600: 2}, keys=100, seconds=8, fallbacks=10)
