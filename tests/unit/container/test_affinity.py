"""A conversation's deployment, as the container chooses it: on a stand-in for LiteLLM, and on the pinned LiteLLM."""

import types
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from tests.clock import for_this_thread
from tests.unit.container.agents import AGENTS, LONG, Json
from tests.unit.container.loading import in_litellm, loaded, stand_in
from tests.unit.container.regions import regions

REGIONS = ("us-west-2", "us-east-1", "us-east-2")


def entry(name: str, **parameters: object) -> Json:
    return {"litellm_params": {"model": "m", **parameters}, "model_info": {"id": name}}


DEPLOYMENTS = [entry(region) for region in REGIONS]


def by_order(deployments: list[Json], target_order: int | None = None) -> list[Json]:
    """As LiteLLM's: those with the lowest order, if any has one."""
    orders = [found for each in deployments if (found := each["litellm_params"].get("order"))]
    return [each for each in deployments if not orders or each["litellm_params"].get("order") == min(orders)]


@pytest.fixture
def affinity(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """The module, imported as LiteLLM does, on a stand-in for LiteLLM."""
    parts: dict[str, dict[str, Any]] = {
        "litellm": {},
        "litellm.constants": {"SESSION_ID_GENERATED_METADATA_KEY": "_generated"},
        "litellm.integrations": {},
        "litellm.integrations.custom_logger": {"CustomLogger": object},
        "litellm.utils": {"get_order_filtered_deployments": by_order},
    }
    stand_in(monkeypatch, parts)
    yield loaded("affinity")


class Gateway:
    """One process with its memory, which asks for deployments as LiteLLM does."""

    def __init__(self, module: types.ModuleType) -> None:
        self._callback = module.Conversations()

    def places(self) -> Json:
        return dict(self._callback._places)

    def may_take(self, request: Json, healthy: list[Json] = DEPLOYMENTS, model: str = "claude") -> list[str]:
        asked = self._callback.async_filter_deployments(model, healthy, request.get("messages"), request)
        try:
            asked.send(None)  # a loop for each would take longer than all the rest
        except StopIteration as answer:
            return [each["model_info"]["id"] for each in answer.value]
        raise AssertionError("it waits for something")

    def place(self, request: Json, healthy: list[Json] = DEPLOYMENTS, model: str = "claude") -> str:
        (place,) = self.may_take(request, healthy, model)
        return place


@pytest.fixture
def gateway(affinity: types.ModuleType) -> Gateway:
    return Gateway(affinity)


@pytest.fixture
def clock(affinity: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that it is, in a list of one."""
    now = [1000.0]
    for_this_thread(monkeypatch, monotonic=lambda: now[0])
    return now


def session(name: object, key: str = "ana", **notes: object) -> Json:
    return {"metadata": {"session_id": f"session {name}", "user_api_key_hash": key, **notes}}


def said(*texts: str, key: str = "ana") -> Json:
    """A request without an id: the person's turn, an answer, the person's next turn, and so on."""
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]
    return {"messages": messages, "metadata": {"user_api_key_hash": key}}


def without(*names: str) -> list[Json]:
    return [each for each in DEPLOYMENTS if each["model_info"]["id"] not in names]


# Which conversation


def test_a_sessions_turns_have_one_place_in_all_processes(affinity: types.ModuleType) -> None:
    for name in range(50):
        assert len({Gateway(affinity).place(session(name)) for _ in range(3)}) == 1


def test_the_same_id_of_two_people_is_two_conversations(affinity: types.ModuleType) -> None:
    ids = {affinity.identify(session("s", key), None) for key in ("ana", "ben")}
    assert len(ids) == 2


def test_the_id_is_read_from_whichever_notes_litellm_has(affinity: types.ModuleType) -> None:
    notes = session("s")["metadata"]
    ids = {affinity.identify(each, None) for each in ({"metadata": notes}, {"litellm_metadata": notes, "metadata": {}})}
    assert len(ids) == 1
    assert ids != {None}


def test_an_id_that_litellm_has_made_up_is_none(affinity: types.ModuleType) -> None:
    assert affinity.identify(session("s", _generated=True), None) is None


def test_without_an_id_the_first_message_tells(affinity: types.ModuleType) -> None:
    first = affinity.identify(said(LONG + "A"), None)
    assert first
    assert affinity.identify(said(LONG + "A", "answer", "More"), None) == first
    assert affinity.identify(said(LONG + "B"), None) != first
    assert affinity.identify(said(LONG + "A", key="ben"), None) != first


@pytest.mark.parametrize("size", [3_000, 1_600_000])
def test_what_differs_at_either_end_is_another_conversation(affinity: types.ModuleType, size: int) -> None:
    same = "w" * size
    texts = (same, "A" + same, "B" + same, same + "A", same + "B")
    assert len({affinity.identify(said(text), None) for text in texts}) == len(texts)


def test_the_texts_alone_tell(affinity: types.ModuleType) -> None:
    """A mark of a cache moves on, and what a tool gave comes later."""
    text = {"type": "text", "text": LONG}
    plain = affinity.identify({"messages": [{"role": "user", "content": [text]}]}, None)
    marked = {**text, "cache_control": {"type": "ephemeral"}}
    assert affinity.identify({"messages": [{"role": "user", "content": [marked]}]}, None) == plain
    thought = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Look at it."}]}
    assert affinity.identify({"input": [{"role": "user", "content": LONG}, thought]}, None) == plain


@pytest.mark.parametrize(
    "request_",
    [
        said("hey"),
        {"input": ["w" * 5000, "x"]},  # embeddings
        {"input": [[1, 2, 3] * 1000]},
        {"messages": []},
        {},
    ],
)
def test_what_no_cache_could_keep_goes_anywhere(gateway: Gateway, request_: Json) -> None:
    assert gateway.may_take(request_) == list(REGIONS)


@pytest.mark.parametrize("where", ["system", "systemInstruction", "instructions", "tools"])
def test_a_short_question_with_a_long_beginning_is_kept_together(gateway: Gateway, where: str) -> None:
    assert len(gateway.may_take({**said("hey"), where: [{"text": LONG}]})) == 1


# Which deployment


def test_conversations_spread_evenly(gateway: Gateway) -> None:
    counts = Counter(gateway.place(session(name)) for name in range(3000))
    assert all(900 <= counts[region] <= 1100 for region in REGIONS)


@pytest.mark.parametrize("weight", ["weight", "rpm", "tpm"])
def test_in_proportion_to_their_weights(gateway: Gateway, weight: str) -> None:
    weighted = [entry("a", **{weight: 3}), entry("b", **{weight: 1}), entry("c", **{weight: 0})]
    counts = Counter(gateway.place(session(name), weighted) for name in range(4000))
    assert counts["c"] == 0
    assert 2850 <= counts["a"] <= 3150


def test_a_model_has_places_of_its_own(gateway: Gateway) -> None:
    pairs = {(gateway.place(session(n)), gateway.place(session(n), model="haiku")) for n in range(100)}
    assert len(pairs) == 9


def test_a_region_that_goes_moves_only_its_own_and_each_as_a_whole(affinity: types.ModuleType) -> None:
    moved = set()
    for name in range(100):
        before = Gateway(affinity).place(session(name))
        left = without("us-west-2")
        after = {Gateway(affinity).place(session(name), left) for _ in range(3)}  # processes that knew nothing of it
        if before == "us-west-2":
            moved |= after
        assert after == {before} or (before == "us-west-2" and len(after) == 1)
    assert moved == {"us-east-1", "us-east-2"}


def test_a_conversation_stays_where_it_went(gateway: Gateway, clock: list[float]) -> None:
    first = gateway.place(session("s"))
    second = gateway.place(session("s"), without(first))
    for _ in range(5):
        clock[0] += 299
        assert gateway.place(session("s")) == second
    clock[0] += 301  # nothing of it is in the cache there any more
    assert gateway.place(session("s")) == first


def test_what_failed_is_left_at_once_and_for_the_turns_to_come(gateway: Gateway) -> None:
    """An error of 500 cools nothing down: LiteLLM would have the retry go there again."""
    first = gateway.place(session("s"))
    failed = [{"deployment_id": first, "exception_type": "InternalServerError"}]
    second = gateway.place(session("s", previous_models=failed))
    assert second != first
    assert gateway.place(session("s")) == second
    everywhere = [{"deployment_id": region} for region in REGIONS]
    assert gateway.place(session("s", previous_models=everywhere)) in REGIONS


def test_what_is_no_conversation_leaves_what_failed_too(gateway: Gateway) -> None:
    """A region that hangs: LiteLLM's own choice would be it again, one time in three."""
    request: Json = {"messages": [{"role": "user", "content": "Hi"}]}
    assert gateway.may_take(request) == list(REGIONS)
    failed = {"metadata": {"previous_models": [{"deployment_id": REGIONS[0], "exception_type": "Timeout"}]}}
    assert gateway.may_take({**request, **failed}) == list(REGIONS[1:])


def test_the_lowest_order_is_litellms_to_keep(gateway: Gateway) -> None:
    ordered = [entry("a", order=1), entry("b", order=2), entry("c", order=1)]
    assert {gateway.place(session(name), ordered) for name in range(50)} == {"a", "c"}


@pytest.mark.parametrize(
    ("more", "healthy"),
    [
        ({"previous_response_id": "resp_1"}, DEPLOYMENTS),
        ({"_target_order": 2}, DEPLOYMENTS),
        ({"_router_weights": {"claude": {"us-west-2": 1}}}, DEPLOYMENTS),
        ({}, [entry("a", tags=["x"]), entry("b"), entry("c")]),
        ({}, DEPLOYMENTS[:1]),
    ],
)
def test_it_stands_aside_where_litellm_decides(gateway: Gateway, more: Json, healthy: list[Json]) -> None:
    assert gateway.may_take({**session("s"), **more}, healthy) == [each["model_info"]["id"] for each in healthy]


def test_a_request_is_answered_whatever_is_wrong(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    broken = [{"litellm_params": {}, "model_info": {}}, *DEPLOYMENTS]
    with pytest.raises(KeyError, match="id"):  # of the test's own reading
        gateway.may_take(session("s"), broken)
    assert "could not be kept together" in caplog.text


def test_the_memory_is_bounded_and_holds_no_word(
    affinity: types.ModuleType, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(affinity, "REMEMBERED_CONVERSATIONS", 10)
    for name in range(50):
        gateway.place(session(f"secret-{name}"))
    places = gateway.places()
    assert len(places) == 10
    assert "secret" not in repr(places)


# The pinned LiteLLM, on simulated regions with prompt caches


@pytest.fixture(scope="module")
def held() -> Json:
    """What became of the conversations that `conversations.py` holds; some of 30 turns, which grow to 400 KB."""
    agents = {name: asdict(agent) for name, agent in AGENTS.items()}
    with regions() as url:
        return in_litellm(
            "conversations.py", {"url": url, "turns": 30, "begin": 100_000, "grow": 10_000, "agents": agents}
        )


def test_agents_as_they_are_have_one_conversation_for_each_of_theirs(held: Json) -> None:
    assert set(held["agents"]) == set(AGENTS)
    for name, (first, second, other, *of_ben) in held["agents"].items():
        assert first, name
        assert first == second, name
        assert len({first, other, of_ben[0], of_ben[2]}) == 4, name


@pytest.mark.parametrize("kept", ["kept", "by four tasks"])
def test_a_long_conversation_costs_what_it_costs_in_one_region(held: Json, kept: str) -> None:
    assert len(set(held[kept]["places"])) == 1
    assert held[kept]["cost"] <= 1.05 * held["one region"]["cost"]
    assert held["shuffled"]["cost"] > 1.5 * held["one region"]["cost"]  # what it would cost without


def test_many_conversations_have_all_regions_and_each_one_of_them(held: Json) -> None:
    places = [set(each["places"]) for each in held["many"]]
    assert all(len(each) == 1 for each in places)
    assert set.union(*places) == set(REGIONS)


@pytest.mark.parametrize("status", ["429", "500"])
def test_a_region_that_fails_is_left_at_once_and_as_a_whole(held: Json, status: str) -> None:
    places = held[status]["places"]
    before, after = set(places[:4]), set(places[4:])
    assert (len(before), len(after), len(before | after)) == (1, 1, 2)
