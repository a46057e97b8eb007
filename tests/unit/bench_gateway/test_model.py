"""The model of `make size` beside a run: what is asked, and what is compared."""

import pytest

from ops.bench_gateway import model
from ops.bench_gateway.load import Answer
from ops.size.people import KINDS
from stacks.measured import AGENT, CHAT


def test_people_ask_in_the_models_shares_for_half_a_processor() -> None:
    cpu = {CHAT: 0.03, AGENT: 0.06}
    asked = model.rates(cpu)
    assert sum(rate * cpu[name] for name, rate in asked.items()) == pytest.approx(0.5)
    people = {kind.name: kind.share * kind.requests for kind in KINDS}
    assert asked[AGENT] / asked[CHAT] == pytest.approx(people["agent"] / people["chat"])


def test_who_is_in_hand_is_counted_and_reckoned() -> None:
    """Two kinds that come each second, one for two seconds and one for half of one."""
    answers = [
        Answer(name, due=float(at), sent=float(at), end=at + took, status=200)
        for name, took in ((AGENT, 2.0), (CHAT, 0.5))
        for at in range(100)
    ]
    found = model.figures({AGENT: 1.0, CHAT: 1.0}, answers, seconds=100, busy=0.47)
    assert found["requests in hand, by the model"] == pytest.approx(2.5)
    assert found["requests in hand, measured"] == pytest.approx(2.5, rel=0.02)
    short = model.figures({AGENT: 1.0, CHAT: 1.0}, answers[:4] + answers[100:104], seconds=4, busy=0.47)
    assert short["requests in hand, measured"] == pytest.approx(2.5, rel=0.02)  # while it fills there are fewer
    assert found["not answered, where the model has none, %"] == 0
    refused = [Answer(CHAT, due=1.0, sent=1.0, end=1.1, status=503)] * 200
    assert model.figures({AGENT: 1.0, CHAT: 1.0}, answers + refused, 100, 0.47)[
        "not answered, where the model has none, %"
    ] == pytest.approx(50)
    assert found["processor, by the model, %"] == 50
    assert found["processor, measured, %"] == pytest.approx(47)
