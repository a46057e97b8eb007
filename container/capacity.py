"""Has a worker take no more than it can do, and say in the log, once a minute, how much that was.

LiteLLM refuses what comes beyond `general_settings.max_in_flight_requests_per_worker`, with 503 and Retry-After, before
it reads the body; health checks are let through. But a count knows neither how long answers take nor what a vCPU can
do: where that is less, the event loop is late at everything long before the count is reached, at refusing too. So here
the loop is watched. As long as it is late, the places that are free are taken out of LiteLLM's own semaphore, and given
back bit by bit when it is in time again: what has begun goes on, and what comes is refused by LiteLLM as ever.

Every call begins in one of asyncio's own threads (`litellm.acompletion`), which are five where there is one vCPU, and
LiteLLM sends its mails in them too. As many of them to a server that hangs would hold every call, for half a minute and
longer. So here one mail is sent after the other.

Once a worker has started, what it has made until then is frozen: Python's collector of garbage would look through its
million of objects again and again, and every answer would stand still meanwhile, for 0.6 s (`gc.freeze` in Python's
documentation).

LiteLLM counts what is in hand and what it refuses, and tells nobody but Prometheus. Here the counts become lines of the
log, of which CloudWatch makes the figures that the service is scaled by and an alarm looks at
(stacks/gateway/capacity.py).

LITELLM_WORKER_STARTUP_HOOKS names `capacity:begin`, which LiteLLM calls in each worker when it starts (its
documentation, "Worker Startup Hooks"): nothing of this is on the way of a request.
"""

import asyncio
import gc
import json
import math
import time
from collections.abc import Awaitable, Callable

from litellm.proxy import utils
from litellm.proxy.middleware.admission_control_middleware import (
    admission_control_state,
    get_admission_control_settings,
    get_admission_control_stats,
)
from litellm.proxy.middleware.in_flight_requests_middleware import get_in_flight_requests

SAMPLES = 60  # in a line, so that a moment does not stand for a minute
SAMPLE_SECONDS = 1.0

LOOK_SECONDS = 0.1
AVERAGED_SECONDS = 1.0  # so that a short stop, as of a collection of garbage, is no overload
LATE_SECONDS = 0.25  # on average: a request takes some ten turns of the loop, so that this is seconds for a caller
IN_TIME_SECONDS = 0.1
FEWEST = 20  # places that are never taken: so few at once are a burst, whatever the machine can do
GIVEN_BACK = 0.1  # of what is taken, in a look

# What runs beside the requests; asyncio itself keeps no hold of a task.
_running: set[asyncio.Task[None]] = set()


async def begin() -> None:
    """Begin to watch and to count, beside whatever this worker does, and have mails take turns."""
    utils.send_email = in_turn(utils.send_email)
    _running.update(map(asyncio.create_task, (_freeze(), _watch(), _report())))


def in_turn(send: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Return what sends one mail after the other, as they come."""
    turn = asyncio.Lock()

    async def sent(*mail: str | None, **parts: str | None) -> None:
        async with turn:
            await send(*mail, **parts)

    return sent


async def _freeze() -> None:
    from litellm.proxy import proxy_server  # it is being imported while this module is

    while proxy_server.llm_router is None:  # of the things that live as long as the worker, it is the last
        await asyncio.sleep(LOOK_SECONDS)
    gc.collect()
    gc.freeze()


class Places:
    """The places of a worker, of which some are taken while it is late."""

    def __init__(self) -> None:
        self.taken = 0
        self._late = 0.0  # seconds, on average

    async def look(self, late: float, limit: int) -> None:
        """Take all that are free, or give some back, after another look; `limit` is how many places there are."""
        # The longer the loop stood still, the more a single look says.
        self._late += (late - self._late) * (1 - math.exp(-(LOOK_SECONDS + late) / AVERAGED_SECONDS))
        places = admission_control_state.get_semaphore(limit)
        if self._late > LATE_SECONDS:
            while not places.locked() and limit - self.taken > FEWEST:
                await places.acquire()  # one is free, so that this does not wait
                self.taken += 1
        elif self._late < IN_TIME_SECONDS and self.taken:
            for _ in range(max(1, int(GIVEN_BACK * self.taken))):
                places.release()
                self.taken -= 1


async def _watch() -> None:
    from litellm.proxy import proxy_server  # it is being imported while this module is

    places = Places()
    while True:
        begun = time.monotonic()
        await asyncio.sleep(LOOK_SECONDS)
        late = time.monotonic() - begun - LOOK_SECONDS
        if settings := get_admission_control_settings(proxy_server.general_settings):
            await places.look(late, settings.max_in_flight_requests)


async def _report() -> None:
    refused = 0
    while True:
        in_flight = []
        for _ in range(SAMPLES):
            await asyncio.sleep(SAMPLE_SECONDS)
            in_flight.append(get_in_flight_requests())
        before, refused = refused, get_admission_control_stats().rejected_total
        print(line(in_flight, refused - before), flush=True)


def line(in_flight: list[int], refused: int) -> str:
    """Return what a minute is in the log: the requests in flight on average, and those that were refused in it."""
    capacity = {"in_flight": round(sum(in_flight) / len(in_flight), 2), "refused": refused}
    return json.dumps({"level": "INFO", "component": "capacity", "capacity": capacity})
