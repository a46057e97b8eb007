"""Rows of docs/reliability.md: a worker of a task is killed, or stuck, beside another one.

Tasks of the example have one worker each: the running gateway's are given two, and one again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import psutil
import pytest

from local.gateway import LocalGateway
from tests.e2e.conftest import container_of, eventually, set_variable, template_of, update_stack
from tests.e2e.test_capacity import tasks
from tests.e2e.test_operations import STACK
from tests.load import Load, Outcome, Sum, logged
from tests.nightly.test_reliability import CALLS, CLAUDE, LUNA, person, whole
from tests.nightly.test_tasks import GAVE_UP, NO_TASK, REPLACED_WITHIN, check_missed, goes_on, listening, lost

WORKERS = 2


def start(gateway: LocalGateway, workers: int) -> None:
    """Have tasks with so many workers take the place of those that run."""
    template = template_of(gateway, STACK)
    set_variable(container_of(template, "Task"), "NUM_WORKERS", str(workers))
    assert update_stack(gateway, STACK, template) == "UPDATE_COMPLETE"


def workers(gateway: LocalGateway) -> list[psutil.Process]:
    """The workers of the only task: its processes that listen, but for the first, which has started the others."""
    found = {process.pid: process for process in listening(gateway)}
    return [process for process in found.values() if process.ppid() in found]


def held(worker: psutil.Process) -> int:
    """How many connections a worker has taken from the load balancer."""
    connections = worker.net_connections("tcp")
    ports = {each.laddr.port for each in connections if each.status == "LISTEN"}
    return sum(each.status == "ESTABLISHED" and each.laddr.port in ports for each in connections)


@pytest.fixture(scope="module")
def several(gateway: LocalGateway) -> Iterator[LocalGateway]:
    """The gateway, whose task has two workers."""
    start(gateway, WORKERS)
    yield gateway
    start(gateway, 1)


def outlived(gateway: LocalGateway, name: str, end: Callable[[psutil.Process], None]) -> list[Outcome]:
    """What callers who were not answered got, while a worker ends like this, and another comes into its place."""
    user = person(name)
    key = gateway.user_key(user)
    assert eventually(lambda: len(workers(gateway)) == WORKERS)
    gateway.outside.clear("calls")
    with Load(gateway, key, [CLAUDE, LUNA]) as load:
        load.wait(2 * CALLS)
        one = max(workers(gateway), key=held)
        first, ports = one.parent(), tasks(gateway)
        one.suspend()  # from here on it takes no further connection
        most = held(one)
        end(one)
        load.wait(2 * CALLS, like=whole)
        assert eventually(
            lambda: one not in (now := workers(gateway)) and len(now) == WORKERS, patience=REPLACED_WITHIN
        )
        load.wait(2 * CALLS, like=whole)
    missed = lost(load.outcomes)
    print(Counter((each.status, each.streamed, each.words[:80]) for each in missed), len(load.outcomes), most)
    assert 0 < len(missed) <= most
    assert tasks(gateway) == ports  # it is the same task
    assert {worker.parent() for worker in workers(gateway)} == {first}
    assert logged(gateway, user).calls <= Sum.of(gateway.outside.calls()).calls
    goes_on(gateway, f"after {name}")
    return missed


def test_a_worker_that_is_killed_takes_its_own_calls_along(several: LocalGateway) -> None:
    check_missed(outlived(several, "a worker is killed", psutil.Process.kill), NO_TASK)


def test_a_worker_that_is_stuck_holds_its_own_callers(several: LocalGateway) -> None:
    """Uvicorn ends it, when it has not answered it for TIMEOUT_WORKER_HEALTHCHECK seconds."""
    check_missed(outlived(several, "a worker is stuck", psutil.Process.suspend), {GAVE_UP, *NO_TASK})
