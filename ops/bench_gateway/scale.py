"""How much is measured: by default what takes ten minutes on two processors that do nothing else, or a trial of two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Scale:
    """How often each thing is done.

    Parameters
    ----------
    rounds
        How often the three are asked in turn, of each workload: often, since what LiteLLM does now and then falls into
        one of them.
    turns
        How often they are asked in turn in an open loop.
    short
        Short requests in a round.
    agents
        Requests of an agent in a round and by each route, by the size of the prompt in KB.
    keys
        People who all ask at once, each with a key that was never used.
    seconds
        Of an open loop, in a turn.
    fallbacks
        Requests that fall back.
    memory
        Short requests over which the memory's growth is measured.
    """

    rounds: int
    turns: int
    short: int
    agents: Mapping[int, int]
    keys: int
    seconds: float
    fallbacks: int
    memory: int


FULL: Final = Scale(
    rounds=4,
    turns=2,
    short=48,
    agents={100: 2, 400: 2, 1600: 1},
    keys=500,
    seconds=10,
    fallbacks=16,
    memory=300,
)
QUICK: Final = Scale(
    rounds=1,
    turns=1,
    short=32,
    agents={100: 2, 400: 2, 1600: 2},
    keys=40,
    seconds=5,
    fallbacks=4,
    memory=50,
)
