"""A mixed load, faults drawn from a seed one after the other, and the books at the end: `make soak`.

Not part of `make test`: it takes as long as it is told to. The seed is printed, and the same one draws the same faults
for the same times.
"""

from __future__ import annotations

import os
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable

import psutil
import pytest

from local.aws import IMAGES
from local.gateway import LocalGateway
from stacks.company import company
from tests.e2e.conftest import eventually
from tests.e2e.test_capacity import tasks
from tests.load import Load, Sum, broken, charged, logged
from tests.soak.faults import FAULTS

CALLERS = 6
# To each of five hosts of models and three others, as many as there were callers at once, of two workers.
MOST_CONNECTIONS = 2 * CALLERS * 8
MODELS = ("claude-haiku-5-5", "gpt-6-luna", "gemini-3.8-flash")
IMPATIENT = {"timeout": 6, "stream_timeout": 6}  # seconds; what an entry of config.yaml says takes minutes
SHORTEST, LONGEST = 2.0, 12.0  # seconds of a fault, and of the time between two
# What LiteLLM says of a provider that is out at each of its places, and of a database that it needs and has not.
TOLD = {408, 429, 502, 503}


@pytest.fixture(scope="module")
def gateway(gateway_of: Callable[..., LocalGateway]) -> LocalGateway:
    """The example company's, running."""
    return gateway_of(company())


def workers(gateway: LocalGateway) -> set[int]:
    """LiteLLM's processes, whose working folder is an image's."""
    found = set()
    for process in psutil.process_iter(["pid", "cwd"]):
        if str(process.info["cwd"] or "").startswith(str(gateway.state / "aws" / IMAGES)):
            found.add(process.pid)
    return found


def connections(gateway: LocalGateway) -> int:
    """How many LiteLLM has to the outside: those that wait for an answer, and those that are kept for a while."""
    outside, pids = gateway.outside.port, workers(gateway)
    return sum(
        connection.pid in pids and connection.raddr[1:] == (outside,) for connection in psutil.net_connections("tcp")
    )


def test_the_books_are_right_after_faults_at_random(gateway: LocalGateway) -> None:
    seed = os.environ.get("SOAK_SEED") or str(secrets.randbelow(10**9))
    seconds = 60 * float(os.environ.get("SOAK_MINUTES") or 2)
    print(f"\nSOAK_SEED={seed}, {seconds:.0f} s")
    draw, user = random.Random(seed), f"soak-{time.monotonic_ns()}@example.com"  # noqa: S311 - what is wanted
    key, before, ports = gateway.user_key(user), workers(gateway), tasks(gateway)
    gateway.outside.clear("calls")
    met: Counter[str] = Counter()
    with Load(gateway, key, MODELS, callers=CALLERS, pause=0.2, more=IMPATIENT) as load:
        load.wait(30)  # so that each worker knows the key
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            name = draw.choice(sorted(FAULTS))
            met[name] += 1
            lasts, rests = draw.uniform(SHORTEST, LONGEST), draw.uniform(SHORTEST, LONGEST)
            print(f"{end - time.monotonic():6.0f} s left: {name}, {lasts:.0f} s")
            with FAULTS[name](gateway):
                load.go_on(lasts)
            load.go_on(rests)
        load.wait(30, like=lambda each: each.whole)
    kinds = Counter((each.status, each.whole) for each in load.outcomes)
    print(f"{len(load.outcomes)} calls: {dict(kinds)}; {dict(met)}")
    assert not [each for each in load.outcomes if not each.whole and each.status not in {200, *TOLD}]
    assert not [each for each in load.outcomes if each.status == 200 and not each.whole and not each.streamed]

    due, most = Sum.of(gateway.outside.calls()), broken(gateway.outside.calls())
    eventually(lambda: min(charged(gateway, user).calls, logged(gateway, user).calls) >= due.calls)
    in_sums, in_log = charged(gateway, user), logged(gateway, user)
    print(f"answered to the end: {due}; broken: {most}; in the sums: {in_sums}; in the log: {in_log}")
    assert in_sums == in_log
    assert due.calls <= in_log.calls <= due.calls + most
    assert in_log.prompt >= due.prompt
    assert in_log.completion >= due.completion
    if not most:
        assert in_log == due
    assert (workers(gateway), tasks(gateway)) == (before, ports)
    assert eventually(lambda: connections(gateway) <= MOST_CONNECTIONS), "connections are left over"
