"""Three tasks that share a Valkey count as one, and go on without it: the example's prod, whose gateway has three."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx
import pytest

from local.gateway import LocalGateway
from local.outside.records import Fault
from stacks.company import company
from tests.e2e.conftest import eventually

Json = dict[str, Any]
Found = TypeVar("Found")

CLAUDE, GPT = "claude-sonnet-5-5", "gpt-6.1-sol"
CHAT = "/v1/chat/completions"
WINDOW = 60  # seconds of LiteLLM's limits (LITELLM_RATE_LIMIT_WINDOW_SIZE)
LEFT_OUT = 300  # seconds that a region asks to be left out for: longer than anything here takes
BEFORE_IT_FORGETS = 40  # seconds, within which a task alone would not have learned of it: it keeps keys for 60


def healthy(gateway: LocalGateway) -> list[int]:
    """Where the tasks listen that the load balancer has found healthy."""
    balancing = gateway.client("elbv2")
    (group,) = balancing.describe_target_groups()["TargetGroups"]
    found = balancing.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    return [each["Target"]["Port"] for each in found if each["TargetHealth"]["State"] == "healthy"]


class Tasks:
    """The tasks of a gateway, each asked by itself, past the load balancer."""

    def __init__(self, gateway: LocalGateway) -> None:
        self.gateway = gateway
        self.ports = healthy(gateway)
        self._http = httpx.Client(timeout=120, trust_env=False)

    def ask(self, task: int, key: str, model: str = GPT, path: str = CHAT, **more: object) -> httpx.Response:
        """The answer of one of them."""
        body = {"model": model, "messages": [{"role": "user", "content": "Say hello"}], **more}
        headers = {"Authorization": f"Bearer {key}"}
        return self._http.post(f"http://127.0.0.1:{self.ports[task]}{path}", headers=headers, json=body)

    def in_turn(self, key: str, count: int, model: str = GPT) -> list[httpx.Response]:
        """So many calls, six at a time, to one task after the other."""
        with ThreadPoolExecutor(6) as pool:
            return list(pool.map(lambda number: self.ask(number % 3, key, model), range(count)))

    def admin(self, task: int, path: str, **body: object) -> Json:
        """An administrator's request to one of them."""
        key = self.gateway.secret("LITELLM_MASTER_KEY")
        answer = self._http.post(
            f"http://127.0.0.1:{self.ports[task]}{path}", headers={"Authorization": f"Bearer {key}"}, json=body
        )
        assert answer.is_success, answer.text
        found: Json = answer.json()
        return found

    def person(self, budget: float = 100, **key: object) -> tuple[str, str]:
        """A user with a budget and a key; both."""
        user = f"shared-{time.monotonic_ns()}@example.com"
        self.admin(
            0,
            "/user/new",
            user_id=user,
            user_email=user,
            max_budget=budget,
            budget_duration="30d",
            auto_create_key=False,
            models=["all-proxy-models"],
        )
        return user, str(self.admin(0, "/key/generate", user_id=user, **key)["key"])


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGateway]:
    """The example's prod, with the three tasks that it has at least."""
    own = company()
    prod = own.environments["prod"]
    assert prod.gateway.min_tasks == 3 and prod.gateway.workers == 1 and prod.cache
    state = tmp_path_factory.mktemp("shared")
    with LocalGateway(state, own=own, environment=prod, alone=True, report=lambda _: None) as running:
        # The emulated AWS does not scale: this is what Application Auto Scaling does in the beginning.
        ecs = running.client("ecs")
        (cluster,) = ecs.list_clusters()["clusterArns"]
        (service,) = ecs.list_services(cluster=cluster)["serviceArns"]
        ecs.update_service(cluster=cluster, service=service, desiredCount=prod.gateway.min_tasks)
        assert eventually(lambda: len(healthy(running)) == 3)
        yield running


@pytest.fixture
def three(gateway: LocalGateway) -> Tasks:
    return Tasks(gateway)


def soon(look: Callable[[], Found], patience: float = BEFORE_IT_FORGETS) -> Found:
    """As `eventually`, looking more often."""
    end = time.monotonic() + patience
    while not (found := look()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def in_one_window(attempt: Callable[[], Found]) -> Found:
    """What an attempt finds that did not reach into a second minute: that would count anew."""
    for _ in range(3):
        begin = time.monotonic()
        found = attempt()
        if time.monotonic() - begin < WINDOW:
            break
    return found


def answered_of_a_limit(three: Tasks, limit: int) -> int:
    """How many of some more calls than a limit of requests a minute are answered, by all tasks together."""

    def attempt() -> int:
        _, key = three.person(rpm_limit=limit)
        statuses = [each.status_code for each in three.in_turn(key, limit + 9)]
        assert set(statuses) <= {200, 429}
        return statuses.count(200)

    return in_one_window(attempt)


def test_a_limit_of_requests_is_of_all_tasks_together(three: Tasks) -> None:
    assert answered_of_a_limit(three, 20) == 20


def test_what_one_task_leaves_out_all_leave_out(three: Tasks, gateway: LocalGateway) -> None:
    outside = gateway.outside
    region = "us-west-2"
    outside.set_fault(
        f"bedrock-runtime.{region}.amazonaws.com", Fault(status=429, count=1, retry_after_seconds=LEFT_OUT)
    )
    _, key = three.person()

    def asked(task: int, count: int) -> list[str]:
        """The regions that answer calls of one task."""
        outside.clear("calls")
        with ThreadPoolExecutor(4) as pool:
            for answer in pool.map(lambda _: three.ask(task, key, CLAUDE), range(count)):
                assert answer.is_success, answer.text
        return [call.region for call in outside.calls() if call.model]

    assert eventually(lambda: region in asked(0, 1))  # the one that is throttled, and then asked elsewhere
    for task in (1, 2):
        # By chance alone, all of twenty would go elsewhere once in three thousand times.
        assert soon(lambda task=task: region not in asked(task, 20), LEFT_OUT / 3), task  # type: ignore[misc]
    assert region not in asked(0, 20)


@pytest.mark.parametrize("revoke", ["/key/block", "/user/delete"])
def test_who_is_shut_out_by_one_task_is_by_all(three: Tasks, revoke: str) -> None:
    """But for a key that is deleted, of which LiteLLM tells the other tasks nothing: docs/operations/cache.md."""
    user, key = three.person()
    assert [three.ask(task, key).status_code for task in range(3)] == [200, 200, 200]  # each knows the key now
    body: dict[str, Json] = {"/key/block": {"key": key}, "/user/delete": {"user_ids": [user]}}
    three.admin(0, revoke, **body[revoke])
    assert soon(lambda: all(three.ask(task, key).status_code in (401, 403) for task in range(3)))


def test_a_budget_that_is_used_up_at_one_task_is_at_all(three: Tasks) -> None:
    _, other = three.person()
    price = float(three.ask(0, other).headers["x-litellm-response-cost"])
    _, key = three.person(budget=1.5 * price)
    assert three.ask(0, key).is_success
    assert soon(lambda: three.ask(0, key).status_code == 400)  # the second is answered, or the third
    assert soon(lambda: all(three.ask(task, key).status_code == 400 for task in range(3)))


def test_calls_that_fail_leave_nothing_behind(three: Tasks, gateway: LocalGateway) -> None:
    """As of LiteLLM's own issues: calls in hand that are never given back, and budgets reserved for nothing."""
    _, other = three.person()
    price = float(three.ask(0, other).headers["x-litellm-response-cost"])
    _, key = three.person(budget=3 * price, max_parallel_requests=2)
    gateway.outside.set_fault("*.openai.azure.com", Fault(status=400))
    gateway.outside.set_fault("bedrock-runtime.*.amazonaws.com", Fault(status=400))
    assert all(three.ask(number % 3, key).is_client_error for number in range(12))
    gateway.outside.clear_fault()
    for task in range(3):
        answer = three.ask(task, key)
        assert answer.is_success, answer.text
    assert soon(lambda: three.ask(0, key).status_code == 400)  # and the budget is used up by those that were answered


def test_without_the_valkey_everybody_is_answered_and_it_comes_back_by_itself(
    three: Tasks, gateway: LocalGateway
) -> None:
    assert gateway.cache
    _, other = three.person()
    price = float(three.ask(0, other).headers["x-litellm-response-cost"])
    user, key = three.person()

    def spent() -> float:
        found = gateway.api("GET", "/user/info", params={"user_id": user}).json()
        return float(found["user_info"]["spend"])

    answers = three.in_turn(key, 6)
    # What goes through it to the database in the moment when it ends would be lost (decision 0057).
    assert eventually(lambda: spent() == pytest.approx(6 * price))
    gateway.cache.stop()
    answers += three.in_turn(key, 30)
    gateway.cache.start()
    answers += three.in_turn(key, 6)
    assert [each.status_code for each in answers] == [200] * 42
    assert eventually(lambda: answered_of_a_limit(three, 20) == 20)
    # What was spent while it was away is in the books as well, and once.
    assert eventually(lambda: spent() == pytest.approx(42 * price))
