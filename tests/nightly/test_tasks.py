"""Rows of docs/reliability.md: a task is killed, stuck, replaced at full load, starts without a database.

The records of the providers are the truth here too. What a process that is killed had not written yet is lost, so that
the books of such a test begin with a person who calls afterwards. The example's tasks have one worker each, and here
there is one task: whoever calls while there is none is told.
"""

from __future__ import annotations

import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import httpx
import psutil
import pytest

from local.gateway import LocalGateway
from local.outside.records import Fault
from tests.e2e.conftest import eventually
from tests.e2e.test_capacity import tasks
from tests.load import PATIENCE, Load, Outcome, Sum, ask, logged
from tests.nightly import disk
from tests.nightly.test_reliability import AZURE, CALLS, CLAUDE, LUNA, check_books, of_nobody, person
from tests.soak.faults import killed
from tests.soak.test_soak import workers

IDLE = 2000  # connections
CALLERS = 50  # more than the worker can do
STREAMS = 50
SLOW = 4.0  # seconds before each of some twenty pieces: a stream lasts until all have begun, two minutes at most
# The load balancer's words for a task that it has lost, and for none.
NO_TASK = {502, 503, 504}
GAVE_UP = 0
REPLACED_WITHIN = 400.0  # seconds: three health checks, and a start beside other work


def listening(gateway: LocalGateway) -> Iterator[psutil.Process]:
    """The processes of the only task that is in the target group; nothing while there is none."""
    ports = tasks(gateway)
    for pid in workers(gateway):
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            if any(each.status == "LISTEN" and each.laddr.port in ports for each in process.net_connections("tcp")):
                yield process


def serving(gateway: LocalGateway) -> psutil.Process | None:
    """The one worker of that task."""
    return next(listening(gateway), None)


def replaced(gateway: LocalGateway, before: psutil.Process) -> bool:
    """Whether another worker serves."""
    now = serving(gateway)
    return now is not None and now.pid != before.pid


def lost(outcomes: Iterable[Outcome]) -> list[Outcome]:
    return [each for each in outcomes if not each.whole]


def the_worker(gateway: LocalGateway) -> psutil.Process:
    found = eventually(lambda: serving(gateway), patience=REPLACED_WITHIN)
    assert found
    return found


def goes_on(gateway: LocalGateway, name: str) -> None:
    """A person's calls are answered, each, and are in the books."""
    user = person(name)
    key = gateway.user_key(user)
    gateway.outside.clear("calls")
    with Load(gateway, key, [CLAUDE, LUNA]) as load:
        load.wait(2 * CALLS)
    assert not lost(load.outcomes)
    check_books(gateway, user, Sum.of(gateway.outside.calls()))


def outlived(gateway: LocalGateway, name: str, end: Callable[[psutil.Process], None]) -> list[Outcome]:
    """What callers who were not answered got, while the only task's worker ends like this, and another comes."""
    user, before = person(name), the_worker(gateway)
    key = gateway.user_key(user)
    gateway.outside.clear("calls")
    with Load(gateway, key, [CLAUDE, LUNA]) as load:
        load.wait(2 * CALLS)
        end(before)
        assert eventually(lambda: replaced(gateway, before), patience=REPLACED_WITHIN)
        load.wait(CALLS, like=lambda each: each.whole)
    missed = lost(load.outcomes)
    print(Counter((each.status, each.streamed, each.words[:80]) for each in missed), len(load.outcomes))
    assert missed
    assert logged(gateway, user).calls <= Sum.of(gateway.outside.calls()).calls
    goes_on(gateway, f"after {name}")
    return missed


def begun(outcome: Outcome) -> bool:
    """A stream that had begun has its 200."""
    return outcome.streamed and outcome.status == 200


def check_missed(missed: Iterable[Outcome], statuses: Container[int]) -> None:
    """Who was not answered got one of these statuses, or a stream that had begun."""
    assert all(each.status in statuses or begun(each) for each in missed), missed


def test_a_task_that_is_killed_takes_its_calls_along_and_is_replaced(gateway: LocalGateway) -> None:
    check_missed(outlived(gateway, "a task is killed", psutil.Process.kill), NO_TASK)


def test_a_task_that_is_stuck_holds_its_callers_and_is_replaced(gateway: LocalGateway) -> None:
    """ECS ends it when it has failed its health checks."""
    check_missed(outlived(gateway, "a task is stuck", psutil.Process.suspend), {GAVE_UP, *NO_TASK})


def redeploy(gateway: LocalGateway) -> None:
    """Have ECS put other tasks in the place of those that run."""
    ecs = gateway.client("ecs")
    (cluster,) = ecs.list_clusters()["clusterArns"]
    for service in ecs.list_services(cluster=cluster)["serviceArns"]:
        ecs.update_service(cluster=cluster, service=service, forceNewDeployment=True)


def stream(gateway: LocalGateway, key: str) -> Outcome:
    """What a caller of one stream gets, who comes again when told to."""
    body = {"model": LUNA, "messages": [{"role": "user", "content": "At length"}]}
    with httpx.Client(base_url=gateway.url, timeout=PATIENCE, trust_env=False) as client:
        while (outcome := ask(client, key, body, streamed=True)).status == 503:
            time.sleep(1)  # its Retry-After
    return outcome


def in_hand(gateway: LocalGateway) -> int:
    """How many requests the worker has."""
    return int(gateway.api("GET", "/health/backlog").json().get("in_flight_requests", 0))


GOES: dict[str, Callable[[LocalGateway, psutil.Process], None]] = {
    "a new version": lambda gateway, _: redeploy(gateway),
    "SIGTERM at once, as on Spot": lambda _, worker: worker.terminate(),
}


@pytest.mark.parametrize("goes", GOES.values(), ids=[*GOES])
def test_a_task_that_goes_ends_the_streams_that_it_has(
    gateway: LocalGateway, goes: Callable[[LocalGateway, psutil.Process], None]
) -> None:
    user, before = person("a task goes"), the_worker(gateway)
    key = gateway.user_key(user)
    gateway.outside.clear("calls")
    gateway.outside.set_fault(AZURE, Fault(chunk_delay_seconds=SLOW))
    try:
        with ThreadPoolExecutor(STREAMS) as pool:
            streams = [pool.submit(stream, gateway, key) for _ in range(STREAMS)]
            assert eventually(lambda: in_hand(gateway) > STREAMS)  # the question is in hand too
            goes(gateway, before)
            assert eventually(lambda: not before.is_running(), patience=REPLACED_WITHIN)
            missed = lost(each.result() for each in streams)
    finally:
        gateway.outside.clear_fault()
    assert not missed, missed
    the_worker(gateway)
    check_books(gateway, user, Sum.of(gateway.outside.calls()))


def test_a_new_version_at_full_load_ends_no_call(gateway: LocalGateway) -> None:
    """More callers than the worker can answer at once: who comes too much is told to come again."""
    user, before = person("a new version"), the_worker(gateway)
    key = gateway.user_key(user)
    gateway.outside.clear("calls")
    with Load(gateway, key, [CLAUDE, LUNA], callers=CALLERS, pause=0) as load:
        load.wait(CALLERS)
        redeploy(gateway)
        assert eventually(lambda: not before.is_running(), patience=REPLACED_WITHIN)
        load.wait(CALLERS, like=lambda each: each.whole)
    missed = lost(load.outcomes)
    print(Counter((each.status, each.words[:80]) for each in missed), len(load.outcomes))
    assert all(each.status == 503 and "overloaded" in each.words for each in missed), missed
    check_books(gateway, user, Sum.of(gateway.outside.calls()))


FORMS = {
    "/v1/audio/transcriptions": {"model": LUNA},  # read by FastAPI
    "/v1/responses": {"model": LUNA, "input": "Hello"},  # read by LiteLLM
}
PART = 3_000_000  # bytes: more than is kept in memory


def send_form(gateway: LocalGateway, key: str, path: str) -> httpx.Response:
    """The answer to a form that has a large part."""
    return httpx.post(
        f"{gateway.url}{path}",
        headers={"Authorization": f"Bearer {key}"},
        data=FORMS[path],
        files={"file": ("speech.wav", bytes(PART), "audio/wav")},
        trust_env=False,
        timeout=PATIENCE,
    )


def test_a_full_disk_keeps_nobody_from_an_answer_but_who_sends_a_large_form(gateway: LocalGateway) -> None:
    """Once with a worker that may never have kept a form, and once with one that has."""
    user, before = person("a disk is full"), the_worker(gateway)
    key, other = gateway.user_key(user), gateway.user_key(person("a large form"))
    for _ in range(2):
        gateway.outside.clear("calls")
        with Load(gateway, key, [CLAUDE, LUNA]) as load:
            load.wait(CALLS)
            with disk.full(gateway, before):
                refused = {path: send_form(gateway, other, path) for path in FORMS}
                load.wait(2 * CALLS)
                assert gateway.api("GET", "/ui/").is_success
        told = {(each.status_code, each.json()["error"]["message"]) for each in refused.values()}
        assert told == {(503, "The gateway has no room for this request now. Try again later.")}
        assert not lost(load.outcomes)
        check_books(gateway, user, Sum.of(gateway.outside.calls()))
        user = person("a disk was full")
        key = gateway.user_key(user)
        assert all(send_form(gateway, other, path).is_success for path in FORMS)
    assert the_worker(gateway) == before


def test_idle_connections_hurt_nobody(gateway: LocalGateway) -> None:
    """Those of clients the load balancer keeps for itself; here a task is given them."""
    key, (port,) = gateway.user_key(person("beside idle connections")), tasks(gateway)
    with ExitStack() as held:
        for _ in range(IDLE):
            held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        with Load(gateway, key, [CLAUDE, LUNA]) as load:
            load.wait(2 * CALLS)
    assert not lost(load.outcomes)
    goes_on(gateway, "after idle connections")


def complaints(gateway: LocalGateway) -> int:
    """How many lines of the log have something to say of the database."""
    lines = (line for file in gateway.emulator.logs.glob("*.log") for line in file.read_text().splitlines())
    return sum(bool(re.search("prisma|database", line, re.IGNORECASE)) for line in lines)


def test_a_task_that_starts_while_the_database_is_away_recovers_by_itself(gateway: LocalGateway) -> None:
    """The only task is killed, and what ECS starts in its place finds no database."""
    before = the_worker(gateway)
    with killed(gateway):
        before.kill()
        assert eventually(lambda: not before.is_running(), patience=REPLACED_WITHIN)
        known = complaints(gateway)
        assert eventually(lambda: complaints(gateway) > known, patience=REPLACED_WITHIN)
    # A key that was made in the moment before could be lost with the database: of this one it knows that there is none.
    assert eventually(lambda: of_nobody(gateway) == 401, patience=REPLACED_WITHIN)
    assert replaced(gateway, before)
    goes_on(gateway, "after a start without a database")
