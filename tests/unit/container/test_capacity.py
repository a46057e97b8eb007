"""What a worker refuses, and says of it: the container's module on the pinned LiteLLM's own admission control."""

import json
import subprocess
from typing import Any

import pytest

from stacks import CHECKOUT
from stacks.litellm_config import MAX_IN_FLIGHT, SERVED_AS

CONTAINER = CHECKOUT / "container"
PYTHON = CHECKOUT / ".tools/litellm/bin/python"
LIMIT = 3
# LiteLLM's middleware around an application that answers when it is told to. Each request is what uvicorn makes of one
# whose body has not come yet: who reads of it waits for ever.
PROBE = """
import asyncio, contextlib, gc, importlib, json, os, sys, types
from litellm.proxy.middleware import admission_control_middleware as admission
from litellm.proxy.middleware.in_flight_requests_middleware import InFlightRequestsMiddleware

settings = {
    "max_in_flight_requests_per_worker": os.environ["MAX_IN_FLIGHT_REQUESTS"],
    "max_queued_requests_per_worker": 0,
}
sys.modules["litellm.proxy.proxy_server"] = types.SimpleNamespace(general_settings=settings, llm_router=object())
answer = asyncio.Event()
mails, sending = [], []

async def send_email(receiver_email=None, **parts):
    sending.append(receiver_email)
    mails.append([*sending])
    await asyncio.sleep(0)
    sending.remove(receiver_email)
    if receiver_email == "a":
        raise OSError

sys.modules["litellm.proxy.utils"] = types.SimpleNamespace(send_email=send_email)

async def application(scope, receive, send):
    if not scope["path"].startswith("/health"):
        await answer.wait()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})

litellm = admission.AdmissionControlMiddleware(
    InFlightRequestsMiddleware(application),
    lambda: admission.get_admission_control_settings(settings),
    admission.admission_control_state,
)

async def ask(path):
    sent = []

    async def send(message):
        sent.append(message)

    await litellm({"type": "http", "path": path, "headers": [], "method": "POST"}, asyncio.Event().wait, send)
    start, body = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers.get("retry-after"), json.loads(body["body"])

async def main():
    module, _, hook = os.environ["LITELLM_WORKER_STARTUP_HOOKS"].partition(",")[0].partition(":")
    capacity = importlib.import_module(module)
    capacity.SAMPLES, capacity.SAMPLE_SECONDS = 1, 0
    printed = asyncio.get_running_loop().create_future()
    capacity.print = lambda line, flush: printed.done() or printed.set_result(line)
    held = [asyncio.create_task(ask("/v1/messages")) for _ in range(int(os.environ["MAX_IN_FLIGHT_REQUESTS"]))]
    await asyncio.sleep(0)
    refused = await ask("/v1/chat/completions")
    health = [await ask(path) for path in ("/health/liveliness", "/health/readiness")]
    await getattr(capacity, hook)()
    line = await printed
    from litellm.proxy.utils import send_email  # as LiteLLM does, for each mail

    await asyncio.gather(*(send_email(receiver_email=to, subject="") for to in "abc"), return_exceptions=True)
    places, limit = capacity.Places(), int(os.environ["MAX_IN_FLIGHT_REQUESTS"])
    capacity.AVERAGED_SECONDS, capacity.GIVEN_BACK, taken = 0.001, 0.6, []

    async def look(late, fewest=1):
        capacity.FEWEST = fewest
        await places.look(late, limit)
        taken.append(places.taken)

    await look(9)  # none is free
    answer.set()
    finished = await asyncio.gather(*held)
    await look(9, fewest=9)
    await look(9)
    with_one_place = await ask("/v1/messages")
    await look(0.2)  # neither late nor in time
    await look(9, fewest=0)
    late = [await ask("/v1/messages"), await ask("/health/liveliness")]
    while places.taken:
        await look(0)
    print(json.dumps({
        "refused": refused,
        "health": health,
        "held": finished,
        "taken": taken,
        "late": [with_one_place, *late],
        "mails": mails,
        "frozen": gc.get_freeze_count(),
        "after": await ask("/v1/messages"),
        "line": json.loads(line),
    }))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def found() -> Any:  # noqa: ANN401 - JSON
    """What the probe saw."""
    variables = {**SERVED_AS, MAX_IN_FLIGHT: str(LIMIT), "PYTHONPATH": str(CONTAINER), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [str(PYTHON), "-c", PROBE], env=variables, capture_output=True, text=True, check=False, timeout=300
    )
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


def test_what_is_beyond_the_limit_is_refused_before_its_body_is_there(found: Any) -> None:  # noqa: ANN401
    status, retry_after, body = found["refused"]
    assert (status, retry_after) == (503, "1")
    assert body["error"]["type"] == "overloaded_error"


def test_health_checks_are_answered_by_a_full_worker(found: Any) -> None:  # noqa: ANN401
    assert [status for status, _, _ in found["health"]] == [200, 200]


def test_what_was_let_in_goes_on_and_makes_room(found: Any) -> None:  # noqa: ANN401
    assert [status for status, _, _ in found["held"]] == [200] * LIMIT
    assert found["after"][0] == 200


def test_a_worker_says_what_it_has_in_hand_and_refused(found: Any) -> None:  # noqa: ANN401
    assert found["line"]["capacity"] == {"in_flight": LIMIT, "refused": 1}
    assert found["line"]["level"] == "INFO"  # what has no level is taken for what LiteLLM prints while it starts


def test_a_worker_that_is_late_takes_nothing_more_until_it_is_in_time_again(found: Any) -> None:  # noqa: ANN401
    """It takes the places that are free, but for a few, and gives them back bit by bit."""
    assert found["taken"] == [0, 0, 2, 2, 3, 2, 1, 0]
    assert [status for status, _, _ in found["late"]] == [200, 503, 200]


def test_mails_take_one_thread_and_not_those_of_the_calls(found: Any) -> None:  # noqa: ANN401
    """One after the other, whatever becomes of the one before."""
    assert found["mails"] == [["a"], ["b"], ["c"]]


def test_what_a_worker_has_started_with_is_collected_no_more(found: Any) -> None:  # noqa: ANN401
    assert found["frozen"] > 10_000
