"""tests/conftest.py: which process gets which file."""

import pytest

from stacks import CHECKOUT
from tests.conftest import ADOPTION, ALONE, MEMORY, PROMOTION, next_of, processes, runs_a_gateway

WAITING = (
    "tests/company/e2e/test_running.py",
    "tests/company/test_rules.py",
    f"{ADOPTION}::test_one",
    "tests/e2e/test_alarms.py",
    PROMOTION,
    "tests/unit/test_app.py",
)


def test_the_files_that_are_named_are_there() -> None:
    assert all((CHECKOUT / file).is_file() for file in ALONE)


@pytest.mark.parametrize(
    ("has_gateway", "gateways", "of", "chosen"),
    [
        (False, 0, 3, "tests/company/e2e/test_running.py"),
        (False, 1, 3, "tests/company/e2e/test_running.py"),
        (False, 2, 3, PROMOTION),  # enough have one
        (True, 2, 3, "tests/company/e2e/test_running.py"),
        (False, 1, 2, PROMOTION),
        (False, 0, 1, "tests/company/e2e/test_running.py"),
    ],
)
def test_half_of_the_processes_have_a_gateway(has_gateway: bool, gateways: int, of: int, chosen: str) -> None:
    assert next_of(WAITING, has_gateway=has_gateway, gateways=gateways, processes=of) == chosen


def test_nobody_waits() -> None:
    running = [each for each in WAITING if runs_a_gateway(each)]
    others = [each for each in WAITING if each not in running]
    assert next_of(running, has_gateway=False, gateways=1, processes=2) == running[0]
    assert next_of(others, has_gateway=True, gateways=1, processes=2) == PROMOTION


def test_one_process_more_where_there_is_memory() -> None:
    assert processes(2, 3 * MEMORY) == 3
    assert processes(2, 2 * MEMORY) == 2
    assert processes(4, 1 * MEMORY) == 4
