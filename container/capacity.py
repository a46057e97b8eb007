"""Says in the log, once a minute, how much this worker has to do, and how much it has refused.

LiteLLM refuses what comes beyond `general_settings.max_in_flight_requests_per_worker`, with 503 and Retry-After, before
it reads the body; health checks are let through. It counts both, and tells nobody but Prometheus. Here the counts
become lines of the log, of which CloudWatch makes the figures that the service is scaled by and an alarm looks at
(stacks/gateway/capacity.py).

LITELLM_WORKER_STARTUP_HOOKS names `capacity:begin`, which LiteLLM calls in each worker when it starts (its
documentation, "Worker Startup Hooks"): nothing of this is on the way of a request.
"""

import asyncio
import json

from litellm.proxy.middleware.admission_control_middleware import get_admission_control_stats
from litellm.proxy.middleware.in_flight_requests_middleware import get_in_flight_requests

SAMPLES = 60  # in a line, so that a moment does not stand for a minute
SAMPLE_SECONDS = 1.0

# What runs beside the requests; asyncio itself keeps no hold of a task.
_running: set[asyncio.Task[None]] = set()


async def begin() -> None:
    """Begin to count, beside whatever this worker does."""
    _running.add(asyncio.create_task(_report()))


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
