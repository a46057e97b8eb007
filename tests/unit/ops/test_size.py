"""How large an environment is to be: the model's people, a simulated day, the settings that follow, and the limits."""

from __future__ import annotations

import json
import random
import re
from statistics import mean

import pytest

from ops.access import OpsError
from ops.bench_gateway import page
from ops.cost.load import BUSY
from ops.cost.prices import prices_of
from ops.size import __main__ as command
from ops.size.day import START_MINUTES, Tasks, _poisson, simulate
from ops.size.limits import limits
from ops.size.people import KINDS, Kind, company
from ops.size.sizes import month, size
from ops.size.table import SIZES, row
from stacks import CHECKOUT
from stacks.gateway.capacity import CPU_TARGET_PERCENT, IN_FLIGHT_TARGET_PERCENT
from stacks.measured import FILE
from stacks.settings import Database, Gateway
from stacks.settings.gateway import RESERVED_CONNECTIONS

TOKYO = prices_of("ap-northeast-1")


def test_a_days_requests_are_those_of_its_people() -> None:
    """Each kind's hours add up, and the simulated day has as many requests as the people ask."""
    assert {round(sum(kind.hours.values()), 6) for kind in KINDS} == {100}
    own = company(500)
    day = simulate(own, Tasks(2, 4))
    assert sum(minute.requests for minute in day.minutes) == pytest.approx(sum(map(own.requests, KINDS)), rel=0.02)


@pytest.mark.parametrize("rate", [0.0, 0.5, 40.0, 400.0])
def test_what_comes_at_random_comes_as_often_as_it_should(rate: float) -> None:
    chance = random.Random(1)  # noqa: S311 - the same each time
    drawn = [_poisson(rate, chance) for _ in range(3000)]
    assert mean(drawn) == pytest.approx(rate, rel=0.05)
    assert mean((each - rate) ** 2 for each in drawn) == pytest.approx(rate, rel=0.1)  # as its variance is its mean


def test_tasks_are_added_where_the_service_adds_them() -> None:
    assert {100 * BUSY} == {CPU_TARGET_PERCENT, IN_FLIGHT_TARGET_PERCENT}


def test_the_day_is_the_same_each_time() -> None:
    assert simulate(company(50), Tasks(2, 4)) == simulate(company(50), Tasks(2, 4))


# --- Tasks ------------------------------------------------------------------------------------------------------------

STEADY = dict.fromkeys(range(12, 24), 100 / 12)
"""Nobody until noon, and then everybody at once."""


def rush(requests: float, cpu: float, seconds: float = 1) -> Kind:
    return Kind("chat", 1, requests, 1, 1, seconds, cpu, STEADY)


def test_tasks_are_added_after_the_alarm_and_the_start_and_taken_away_slowly() -> None:
    own = company(1)
    rushed = type(own)(1, {"chat": 1}, (rush(12 * 60 * 60 * 20, 0.06),))  # 1.2 of a processor, of 0.8 each
    day = simulate(rushed, Tasks(1, 10))
    noon = day.hour(12)
    grown = next(minute.at for minute in noon if minute.tasks > 1)
    assert grown - noon[0].at == 3 - 1 + START_MINUTES
    assert noon[-1].tasks == 3  # 1.2 / 0.8 / 0.6 would be 2.5
    assert noon[-1].busy < 0.6
    assert day.slow_minutes > 0
    assert {minute.tasks for minute in day.hour(11)} == {1}


def test_what_finds_no_place_is_refused() -> None:
    own = type(company(1))(1, {"chat": 1}, (rush(12 * 60 * 60 * 20, 0.001, seconds=60),))  # 1,200 in hand
    day = simulate(own, Tasks(2, 2, in_flight=100))
    assert day.hour(12)[10].refused == pytest.approx(20 * 60 * (1 - 200 / 1200), rel=0.1)
    assert simulate(own, Tasks(12, 12, in_flight=110)).refused == 0


def test_there_are_never_more_tasks_than_there_may_be() -> None:
    day = simulate(company(20_000), Tasks(2, 5))
    assert day.most_tasks == 5
    assert day.refused > 0


@pytest.mark.parametrize("users", [1, 50, 500, 5000, 10_000])
def test_the_size_does_and_the_settings_accept_it(users: int) -> None:
    found = size(company(users))
    assert (found.day.refused, found.day.slow_minutes) == (0, 0)
    gateway = Gateway(min_tasks=found.tasks.fewest, max_tasks=found.tasks.most)
    database = Database(min_capacity=found.min_capacity, max_capacity=found.max_capacity)
    assert (2 * gateway.max_tasks + 1) * 10 <= database.max_connections - RESERVED_CONNECTIONS
    for setting in (f"min_tasks={found.tasks.fewest}", f"max_capacity={found.max_capacity:g}"):
        assert setting in found.settings()


def test_one_task_fewer_would_not_do() -> None:
    own = company(20_000)
    found = size(own, fewest=1)
    fewer = simulate(own, Tasks(found.tasks.fewest - 1, found.tasks.most))
    assert fewer.slow_minutes or fewer.refused


def test_more_people_take_more() -> None:
    sizes = [size(company(users)) for users in (500, 5000, 10_000)]
    assert sorted(found.tasks.fewest for found in sizes) == [found.tasks.fewest for found in sizes]
    dollars = [sum(part.dollars for part in month(found, TOKYO)) for found in sizes]
    assert sorted(dollars) == dollars


def test_agents_are_what_moves_the_bytes() -> None:
    gigabytes = {
        agents: next(part.dollars for part in month(size(company(500, {"agent": agents})), TOKYO) if "NAT" in part.name)
        for agents in (0.0, 0.25, 0.5)
    }
    assert gigabytes[0.5] > 1.9 * gigabytes[0.25] > 20 * gigabytes[0.0]


def test_the_page_has_what_the_model_says() -> None:
    shown = (CHECKOUT / "docs" / "performance.md").read_text("utf-8")
    for users in SIZES:
        assert f"| {users:,} | {' | '.join(row(size(company(users))))} |" in shown


def test_the_model_has_the_figures_of_the_page() -> None:
    """And the page's, and nobody's else: what is measured anew is reckoned with, once `make docs` has run."""
    text = page.PAGE.read_text("utf-8")
    assert FILE.read_text("utf-8") == page.measured(text)
    told, changed = re.subn(r"(?<=short, plain, ms \| )[\d,]+", "1,026", text, count=1)
    assert changed == 1
    assert json.loads(page.measured(told))["cpu_ms"]["short, plain"] == 1026
    with pytest.raises(page.PageError, match="the table has no figure of Database rows a request"):
        page.measured(text.replace("rows a request", "columns"))


# --- Limits -----------------------------------------------------------------------------------------------------------


def test_a_limit_that_is_passed_is_named_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert not any(limit.reached for limit in limits(size(company(5000))))
    assert command.main(["--users", "10000"]) == 1
    (told,) = [line for line in capsys.readouterr().out.splitlines() if "PASSED" in line]
    assert told.split()[:2] == ["Web", "ACL"]
    assert told.endswith("raise ingress.requests_per_address")


def test_more_than_one_service_should_have_is_refused() -> None:
    with pytest.raises(OpsError, match="give each part of the company an environment of its own"):
        size(company(2_000_000))


# --- The command ------------------------------------------------------------------------------------------------------


def test_it_prints_settings_a_day_and_a_price(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--users", "500"]) == 0
    printed = capsys.readouterr().out
    assert "500 people (350 chat, 125 agent, 25 batch): 176,500 requests in a working day." in printed
    assert "gateway=Gateway(min_tasks=2, max_tasks=3)," in printed
    assert "Refused: 0. Minutes in which everybody waits: 0." in printed


def test_it_prints_the_same_for_another_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--users", "500", "--json", "--agent", "0.5", "--region", "us-east-1"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["shares"]["agent"] == 0.5
    assert told["gateway"]["min_tasks"] == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--users", "0"], "say how many people will use it"),
        (["--users", "5", "--chat", "1.5"], "chat=1.5: a share of the people is between 0 and 1"),
        (["--users", "5", "--fewest", "0"], "at least one task has to run"),
        (["--users", "5", "--region", "mars"], "has no prices of mars"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(arguments) == 2
    assert told in capsys.readouterr().err
