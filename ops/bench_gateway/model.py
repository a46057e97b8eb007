"""The model of `make size` beside a run: what it reckons for people who ask at random, and what that takes.

People's questions and agents' prompts come in the model's shares of the busiest hour, as fast as they ask for half of a
processor by the model. Its figures of a request were measured by callers who ask one after another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Final

from ops.bench_gateway.load import Answer
from ops.size.people import KINDS
from stacks.measured import AGENT, CHAT

BUSY: Final = 0.5
"""Of a processor, what is to be asked for by the model: where no request waits for long."""

STEP: Final = 0.05  # seconds between two looks at how many are in hand
OF_KIND: Final[Mapping[str, str]] = {"chat": CHAT, "agent": AGENT}
"""What a kind of people asks, by the name of the workload. Programs come at night."""


def rates(cpu: Mapping[str, float]) -> dict[str, float]:
    """Requests a second of each workload, with these seconds of a processor each."""
    shares = {OF_KIND[kind.name]: kind.share * kind.requests for kind in KINDS if kind.name in OF_KIND}
    one = sum(share * cpu[workload] for workload, share in shares.items())
    return {workload: BUSY * share / one for workload, share in shares.items()}


def figures(asked: Mapping[str, float], answers: Sequence[Answer], seconds: float, busy: float) -> dict[str, float]:
    """What the model says beside what was measured, by what it is called.

    Parameters
    ----------
    asked
        Requests a second, by workload.
    answers
        What came of them, their lanes by workload too.
    seconds
        For how long they came.
    busy
        Of a processor, what they took.
    """
    good = [each for each in answers if each.is_good]
    took = {name: [each.seconds for each in good if each.lane == name] for name in asked}
    # From when the first have ended: before that it fills, which the model does not reckon.
    full = min(seconds / 2, max(max(each, default=0.0) for each in took.values()))
    looks = [STEP * number for number in range(int(full / STEP), int(seconds / STEP))]
    in_hand = mean(sum(each.sent <= at < each.end for each in good) for at in looks)
    return {
        "processor time of one request, by the model, ms": 1000 * BUSY / sum(asked.values()),
        "processor time of one request, measured, ms": 1000 * busy * seconds / len(good) if good else 0.0,
        "processor, by the model, %": 100 * BUSY,
        "processor, measured, %": 100 * busy,
        "requests in hand, by the model": sum(rate * mean(took[name] or [0.0]) for name, rate in asked.items()),
        "requests in hand, measured": in_hand,
        "not answered, where the model has none, %": 100 * (1 - len(good) / len(answers)),
    }
