"""Three tasks that share a Valkey count as one, and go on without it: the example's prod, whose gateway has three.

Each is tried as it is, and with the Valkey restarted or failed over in its middle. How long it takes until all tasks
know of something is printed, not asserted: `make nightly ARGS="-s -k test_shared"`; docs/operations/cache.md has it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import httpx
import pytest
import valkey

from local.gateway import LocalGateway
from local.outside.records import Fault
from stacks.company import company
from stacks.litellm_config import CACHE_PASSWORD
from stacks.settings import Cache
from tests.e2e.conftest import eventually

Json = dict[str, Any]
Found = TypeVar("Found")

CLAUDE, GPT = "claude-sonnet-5-5", "gpt-6.1-sol"
CHAT = "/v1/chat/completions"
TASKS: Final = 3
WINDOW = 60  # seconds of LiteLLM's limits (LITELLM_RATE_LIMIT_WINDOW_SIZE)
LEFT_OUT = 300  # seconds that a region asks to be left out for: longer than anything here takes
BEFORE_IT_FORGETS = 40  # seconds, within which a task alone would not have learned of it: it keeps keys for 60
REVOKED = "litellm_proxy.auth_cache_invalidation"
"""The channel that tells tasks which keys to forget (litellm/proxy/common_utils/auth_cache_invalidation_pubsub.py)."""
NOTHING, RESTART, FAILOVER = "nothing happens", "restart", "failover"


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
            return list(pool.map(lambda number: self.ask(number % TASKS, key, model), range(count)))

    def each(self, key: str) -> list[int]:
        """What each of them answers, asked at once: the status."""
        return [answer.status_code for answer in self.in_turn(key, TASKS)]

    def shared(self) -> bool:
        """Whether they count as one, and hear of each other which keys to forget."""
        _, key = self.person(rpm_limit=1)
        return self.each(key).count(200) == 1 and self._hearing() >= TASKS

    def _hearing(self) -> int:
        assert self.gateway.cache
        connection = valkey.Valkey(
            port=self.gateway.cache.port,
            password=self.gateway.secret(CACHE_PASSWORD),
            ssl=True,
            ssl_ca_certs=str(self.gateway.outside.ca_file),
        )
        with connection:
            found: Any = connection.pubsub_numsub(REVOKED)
        return int(found[0][1])

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
    """The example's prod, with the three tasks that it has at least, and a replica of its cache."""
    own = company()
    prod = own.environments["prod"]
    assert prod.gateway.min_tasks == TASKS and prod.gateway.workers == 1 and prod.cache
    prod = prod.model_copy(update={"cache": Cache(replica=True)})
    state = tmp_path_factory.mktemp("shared")
    with LocalGateway(state, own=own, environment=prod, alone=True, report=lambda _: None) as running:
        # The emulated AWS does not scale: this is what Application Auto Scaling does in the beginning.
        ecs = running.client("ecs")
        (cluster,) = ecs.list_clusters()["clusterArns"]
        (service,) = ecs.list_services(cluster=cluster)["serviceArns"]
        ecs.update_service(cluster=cluster, service=service, desiredCount=TASKS)
        assert eventually(lambda: len(healthy(running)) == TASKS)
        yield running


@pytest.fixture
def three(gateway: LocalGateway) -> Iterator[Tasks]:
    """The tasks, once they share what they count."""
    tasks = Tasks(gateway)
    assert eventually(tasks.shared)
    yield tasks
    gateway.outside.clear_fault()


@pytest.fixture(params=[NOTHING, RESTART, FAILOVER])
def middle(request: pytest.FixtureRequest, three: Tasks, gateway: LocalGateway) -> Iterator[Callable[[], str]]:
    """What happens in the middle of a test: done by calling it, after which the tasks share again; which it is."""
    kind: str = request.param
    cache = gateway.cache
    assert cache
    _, somebody = three.person()

    def happen() -> str:
        if kind == NOTHING:
            return kind
        cache.stop() if kind == RESTART else cache.lose_primary()
        assert three.each(somebody) == [200] * TASKS  # nobody waits for it
        cache.start() if kind == RESTART else cache.promote()
        assert eventually(three.shared)
        return kind

    yield happen
    if kind == FAILOVER:
        cache.stop()
        cache.start()  # with a replica again


def soon(look: Callable[[], Found], patience: float = BEFORE_IT_FORGETS) -> Found:
    """As `eventually`, looking more often."""
    end = time.monotonic() + patience
    while not (found := look()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def measured(what: str, look: Callable[[], object]) -> None:
    """Wait for something that all tasks come to know by what they share, and print how long that took."""
    begin = time.monotonic()
    assert soon(look), what
    print(f"\n{what}: {time.monotonic() - begin:.2f} s")


def in_one_window(attempt: Callable[[], Found]) -> Found:
    """What an attempt finds that did not reach into a second minute: that would count anew."""
    for _ in range(3):
        begin = time.monotonic()
        found = attempt()
        if time.monotonic() - begin < WINDOW:
            break
    return found


def most_of(limit: int, happened: str) -> int:
    """How many are answered at the most: a task that finds a connection lost counts that call for itself, and no more.

    For itself each of them would have answered as many as the limit.
    """
    return limit if happened == NOTHING else 2 * limit - 1


def test_a_limit_of_requests_is_of_all_tasks_together(three: Tasks, middle: Callable[[], str]) -> None:
    limit, before = 20, 9
    happened = NOTHING

    def attempt() -> int:
        nonlocal happened
        _, key = three.person(rpm_limit=limit)
        statuses = [each.status_code for each in three.in_turn(key, before)]
        happened = middle()
        statuses += [each.status_code for each in three.in_turn(key, limit + before)]
        assert set(statuses) <= {200, 429}
        return statuses.count(200)

    found = in_one_window(attempt)
    # What is counted in a node that is restarted is counted anew; a replica has it.
    assert limit <= found - (before if happened == RESTART else 0) <= most_of(limit, happened)


def test_a_limit_of_tokens_is_of_all_tasks_together(three: Tasks, middle: Callable[[], str]) -> None:
    """LiteLLM sets aside what a call may take at most: without max_tokens a quarter of the limit."""
    _, other = three.person()
    most = three.ask(0, other).json()["usage"]["completion_tokens"]
    each = three.ask(0, other, max_tokens=most).json()["usage"]["total_tokens"]
    calls, before = 20, 8
    happened = NOTHING

    def answered(key: str, count: int) -> int:
        """How many are answered before one is refused."""
        for number in range(count):
            answer = three.ask(number % TASKS, key, max_tokens=most)
            if answer.status_code == 429:
                return number
            assert answer.is_success, answer.text
        return count

    def attempt() -> int:
        nonlocal happened
        _, key = three.person(tpm_limit=calls * each)
        found = answered(key, before)
        happened = middle()
        return found + answered(key, calls + 5)

    found = in_one_window(attempt) - (before if happened == RESTART else 0)
    assert calls - 1 <= found <= most_of(calls, happened) + 1  # of twenty: within 5 %


def test_what_one_task_leaves_out_all_leave_out(three: Tasks, gateway: LocalGateway, middle: Callable[[], str]) -> None:
    outside = gateway.outside
    region = "us-west-2"
    outside.set_fault(f"bedrock-runtime.{region}.amazonaws.com", Fault(status=429, retry_after_seconds=LEFT_OUT))
    _, key = three.person()
    last = 0.0  # when the region was asked last, in seconds since 1970

    def asked(tasks: tuple[int, ...], count: int) -> list[str]:
        """The regions that are asked by calls of some tasks."""
        nonlocal last
        outside.clear("calls")
        with ThreadPoolExecutor(4) as pool:
            for answer in pool.map(lambda number: three.ask(tasks[number % len(tasks)], key, CLAUDE), range(count)):
                assert answer.is_success, answer.text
        calls = [call for call in outside.calls() if call.model]
        last = max((call.time for call in calls if call.region == region), default=last)
        return [call.region for call in calls]

    assert eventually(lambda: region in asked((0,), 1))  # the one that is throttled, and then asked elsewhere
    begin = time.time()
    outside.clear_fault()  # from now on it would answer whoever asked
    happened = middle()
    if happened == RESTART:  # what was left out is forgotten where a task has not seen it: told again
        outside.set_fault(f"bedrock-runtime.{region}.amazonaws.com", Fault(status=429, retry_after_seconds=LEFT_OUT))
    # By chance alone, all of forty would go elsewhere once in ten million times.
    assert soon(lambda: region not in asked((1, 2), 40), LEFT_OUT / 3)
    if happened == NOTHING:
        print(f"\nA region refuses one task, until the others leave it out: {max(0, last - begin):.2f} s")
    assert region not in asked((0,), 20)


@pytest.mark.parametrize("revoke", ["/key/block", "/user/delete"])
def test_who_is_shut_out_by_one_task_is_by_all(three: Tasks, middle: Callable[[], str], revoke: str) -> None:
    user, key = three.person()
    assert three.each(key) == [200] * TASKS  # each knows the key now
    body: dict[str, Json] = {"/key/block": {"key": key}, "/user/delete": {"user_ids": [user]}}
    middle()
    three.admin(0, revoke, **body[revoke])
    measured(f"{revoke}, until all refuse", lambda: all(status in (401, 403) for status in three.each(key)))


def test_a_key_that_is_deleted_is_forgotten_by_the_others_by_themselves(three: Tasks) -> None:
    """Of it LiteLLM tells the other tasks nothing, which keep what they know for a minute: docs/operations/cache.md."""
    _, key = three.person()
    assert three.each(key) == [200] * TASKS
    three.admin(0, "/key/delete", keys=[key])
    begin = time.monotonic()
    assert eventually(lambda: three.each(key) == [401] * TASKS)
    print(f"\n/key/delete, until all refuse: {time.monotonic() - begin:.2f} s")


def test_a_budget_is_used_up_for_all_tasks_and_said_once(
    three: Tasks, gateway: LocalGateway, middle: Callable[[], str]
) -> None:
    _, other = three.person()
    price = float(three.ask(0, other).headers["x-litellm-response-cost"])
    user, key = three.person(budget=1.5 * price)

    def notices(of: str) -> int:
        return sum(of in json.dumps(message) for message in gateway.outside.slack())

    def mails() -> int:
        return len(gateway.outside.mailbox.mails(user))

    assert three.ask(0, key).is_success
    assert eventually(lambda: three.ask(0, key).status_code == 400)  # the second is answered, or the third
    # Tasks that meet it in the same moment would each say it: LiteLLM looks, says it, and then notes that it has.
    assert eventually(lambda: notices(user))
    happened = middle()
    assert eventually(lambda: three.each(key) == [400] * TASKS)
    # Another one, of each of the other tasks: whatever they had to say of the first has come before.
    for task in (1, 2):
        last, used_up = three.person(budget=0)
        assert three.ask(task, used_up).status_code == 400
        assert eventually(lambda last=last: notices(last))  # type: ignore[misc]
    # That it was said is forgotten with a node that is restarted, but by the task that said it.
    most = TASKS if happened == RESTART else 1
    assert 1 <= notices(user) <= most and 1 <= mails() <= most


def test_a_budget_that_is_used_up_at_one_task_is_at_all(three: Tasks) -> None:
    _, other = three.person()
    price = float(three.ask(0, other).headers["x-litellm-response-cost"])
    _, key = three.person(budget=0.5 * price)
    assert three.ask(0, key).is_success
    measured("A budget is used up, until all refuse", lambda: three.each(key) == [400] * TASKS)


def test_calls_that_fail_leave_nothing_behind(three: Tasks, gateway: LocalGateway, middle: Callable[[], str]) -> None:
    """As of LiteLLM's own issues: calls in hand that are never given back, and budgets reserved for nothing."""
    _, other = three.person()
    price = float(three.ask(0, other).headers["x-litellm-response-cost"])
    _, key = three.person(budget=3 * price, max_parallel_requests=2)
    faults = ("*.openai.azure.com", "bedrock-runtime.*.amazonaws.com")

    def fail() -> None:
        for host in faults:
            gateway.outside.set_fault(host, Fault(status=400))
        assert all(three.ask(number % TASKS, key).is_client_error for number in range(12))
        gateway.outside.clear_fault()

    fail()
    middle()
    fail()
    for task in range(TASKS):
        answer = three.ask(task, key)
        assert answer.is_success, answer.text
    assert eventually(lambda: three.ask(0, key).status_code == 400)  # used up by those that were answered


@pytest.mark.parametrize("lost", [RESTART, FAILOVER])
def test_while_the_valkey_is_away_everybody_is_answered_and_it_comes_back_by_itself(
    three: Tasks, gateway: LocalGateway, lost: str
) -> None:
    cache = gateway.cache
    assert cache
    _, other = three.person()
    price = float(three.ask(0, other).headers["x-litellm-response-cost"])
    user, key = three.person()

    def spent() -> float:
        found = gateway.api("GET", "/user/info", params={"user_id": user}).json()
        return float(found["user_info"]["spend"])

    answers = three.in_turn(key, 6)
    # What goes through it to the database in the moment when it ends would be lost (decision 0057).
    assert eventually(lambda: spent() == pytest.approx(6 * price))
    cache.stop() if lost == RESTART else cache.lose_primary()
    answers += three.in_turn(key, 30)
    cache.start() if lost == RESTART else cache.promote()
    begin = time.monotonic()
    answers += three.in_turn(key, 6)
    assert [each.status_code for each in answers] == [200] * 42
    assert eventually(three.shared)
    print(f"\n{lost}, until the tasks share again: {time.monotonic() - begin:.2f} s")
    # What was spent while it was away is in the books as well, and once.
    assert eventually(lambda: spent() == pytest.approx(42 * price))
    cache.stop()
    cache.start()  # with a replica again
