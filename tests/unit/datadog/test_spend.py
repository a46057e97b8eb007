"""Of whose spend the monitors tell, by the rules of Datadog that are documented."""

import json

import pytest

from local.outside.datadog_metrics import Log, Metrics
from local.outside.datadog_monitors import monitor_state
from stacks.datadog.metrics import COST
from stacks.datadog.monitors import monitors
from stacks.settings import Datadog

NOW = 1_800_000_000.0
BEFORE = NOW - 7 * 86_400
MONITORS = monitors("dev", Datadog(spend_jump=20))


def log(time: float, cost: float) -> Log:
    """A call of somebody's, some minutes before a time."""
    message = json.dumps({"llm": {"kind": "call", "user": "sato@example.com", "model": "m", "cost": cost}})
    return Log(time - 600, {"service": "litellm-gateway", "ddtags": "env:dev", "message": message})


@pytest.mark.parametrize(
    ("today", "week_before", "told"),
    [
        (81, None, {"SpendDay"}),  # somebody new, or a key that nobody had used for long
        (79, None, set()),
        (60, 10, {"SpendJump"}),
        (60, 20, set()),
        (90, 10, {"SpendDay", "SpendJump"}),
        (90, 90, {"SpendDay"}),
        (None, 90, set()),
    ],
)
def test_who_is_told_of(today: float | None, week_before: float | None, told: set[str]) -> None:
    days = ((NOW, today), (BEFORE, week_before))
    found = Metrics([COST.definition("dev")["data"]], [log(time, cost) for time, cost in days if cost])
    states = {name: monitor_state(MONITORS[name], found, NOW) for name in ("SpendJump", "SpendDay")}
    assert {name for name, state in states.items() if state.notifies} == told
