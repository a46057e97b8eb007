"""Keeps a conversation in the region whose prompt cache has its prefix.

Each turn of a conversation repeats the turns before it. A provider keeps them in a prompt cache of each region by
itself: where it has them they cost a tenth or a twentieth, and elsewhere they are written again, at 1.25 times the
price. LiteLLM asks this callback which of the deployments that are healthy may take a request
(`CustomLogger.async_filter_deployments`), each time it looks for one: at first, and again for a retry.

- **Which conversation** a request is of says the session's id, as LiteLLM reads it from what coding agents send
  (`get_chain_id_from_headers` in litellm/proxy/litellm_pre_call_utils.py): Claude Code, Codex and OpenCode send one in
  a header, and anybody may, in `x-litellm-session-id`. Where there is none, as with Gemini CLI and with SDKs, its first
  message tells: the turns that follow repeat it. The caller's key is a part of it in either case.
- **Which deployment** is decided by rendezvous hashing: each deployment draws a number from the conversation's, and the
  highest wins. All processes of all tasks choose alike without asking one another, conversations spread evenly, and a
  deployment that goes moves only its own. Of deployments with a weight each has its share, as with simple-shuffle.
- **A deployment that throttles or fails** is left at once: LiteLLM leaves it out while it cools down, and what has
  failed in this very request, of a conversation or not, is left out here. The conversation then stays where it went for
  as long as its prefix can be in the cache there; going back would be to pay for it again.

Nothing of a conversation is kept but a number made of it, and nothing is written anywhere. The callback stands aside
where a request says itself where it belongs (`previous_response_id`), and where deployments differ in what LiteLLM
looks at after it (tags, weights of a key or team).

config.yaml names `affinity.conversations` as a callback; LiteLLM imports this module from the folder of the file.
"""

import hashlib
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from litellm.constants import SESSION_ID_GENERATED_METADATA_KEY
from litellm.integrations.custom_logger import CustomLogger
from litellm.utils import get_order_filtered_deployments

Deployment = Mapping[str, Any]

REMEMBERED_SECONDS = 300.0
"""How long a prefix that nobody reads stays in a cache: five minutes with Anthropic's models (Amazon Bedrock's user
guide, "Prompt caching for faster model inference"), five to ten with Azure OpenAI ("Prompt caching")."""
REMEMBERED_CONVERSATIONS = 20_000
"""Of a process, the latest ones; one takes about 300 bytes."""
SHORTEST = 1024
"""Characters. No provider caches a prompt of fewer than 512 tokens (`prompt_cache_min_tokens` in LiteLLM's list)."""
SAMPLE = 2048
"""Characters from either end of each text: what a prompt of megabytes has in its middle tells no more."""
MOST_PARTS = 32
MOST_STEPS = 500
# The names of what a text can be in, in each format. What else is there (marks of a cache, ids) differs between turns.
CONTENT = ("content", "parts", "text")
# Roles whose messages are the application's: many conversations begin with the same.
APPLICATION = ("system", "developer")
# What simple-shuffle takes for a weight, the first that any deployment has (litellm/router_strategy/simple_shuffle.py).
WEIGHTS = ("weight", "rpm", "tpm")

_log = logging.getLogger("LiteLLM")


class Conversations(CustomLogger):
    """Chooses a conversation's deployment."""

    def __init__(self) -> None:
        super().__init__()
        # By conversation and model: the deployment that has it now, and until when.
        self._places: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: list[Any],
        messages: list[Any] | None,
        request_kwargs: dict[str, Any] | None = None,
        parent_otel_span: object = None,
    ) -> list[Any]:
        """Return the one deployment that is to take a request, or all of them if it makes no difference."""
        try:
            if len(healthy_deployments) > 1:
                return self._choose(model, healthy_deployments, messages, request_kwargs or {})
        except Exception:  # the request is answered all the same, somewhere
            _log.exception("A conversation could not be kept together")
        return healthy_deployments

    def _choose(
        self, model: str, healthy: list[Any], messages: list[Any] | None, request: Mapping[str, Any]
    ) -> list[Any]:
        if any(request.get(name) is not None for name in ("previous_response_id", "_target_order", "_router_weights")):
            return healthy
        candidates = get_order_filtered_deployments(healthy)
        if len({str(each["litellm_params"].get("tags")) for each in candidates}) > 1:
            return healthy
        failed = _failed(request)
        left = [each for each in candidates if _id(each) not in failed] or candidates
        conversation = identify(request, messages)
        if conversation is None:
            return left if failed else healthy
        return [self._place(hashlib.sha256(conversation + model.encode()).digest()[:16], left)]

    def _place(self, conversation: bytes, candidates: Sequence[Deployment]) -> Deployment:
        now = time.monotonic()
        place, until = self._places.pop(conversation, ("", 0.0))
        chosen = next((each for each in candidates if until > now and _id(each) == place), None)
        if chosen is None:
            chosen = rank(conversation, candidates)
        self._places[conversation] = (_id(chosen), now + REMEMBERED_SECONDS)
        if len(self._places) > REMEMBERED_CONVERSATIONS:
            self._places.popitem(last=False)
        return chosen


def identify(request: Mapping[str, Any], messages: Sequence[Any] | None) -> bytes | None:
    """Return a number of the conversation that a request is of, or None if it has none that a cache could keep."""
    notes = [found for name in ("litellm_metadata", "metadata") if isinstance(found := request.get(name), Mapping)]
    key = next((str(found) for each in notes if (found := each.get("user_api_key_hash"))), "")
    for each in notes:
        if each.get("session_id") and not each.get(SESSION_ID_GENERATED_METADATA_KEY):
            return _number("session", key, str(each["session_id"]))
    turns = messages or request.get("messages") or request.get("contents") or request.get("input")
    first = _first(turns)
    if first is None or not _is_long(request, turns):
        return None
    return _number("first message", key, *first)


def rank(conversation: bytes, candidates: Sequence[Deployment]) -> Deployment:
    """Return the deployment that has the highest number of all, each in proportion to its weight.

    Weighted rendezvous hashing: the logarithm of an even number between 0 and 1, divided by the weight.
    """
    weights = _weights(candidates)
    return max(
        zip(candidates, weights, strict=True),
        key=lambda pair: -pair[1] / math.log(_even(conversation, _id(pair[0]))) if pair[1] else -1.0,
    )[0]


def _even(conversation: bytes, deployment: str) -> float:
    digest = hashlib.sha256(conversation + deployment.encode()).digest()
    return (int.from_bytes(digest[:8]) + 1) / (2**64 + 2)


def _weights(candidates: Sequence[Deployment]) -> list[float]:
    for name in WEIGHTS:
        weights = [float(each["litellm_params"].get(name) or 0) for each in candidates]
        if any(weights):
            return weights
    return [1.0] * len(candidates)


def _failed(request: Mapping[str, Any]) -> set[str]:
    """Return which deployments have failed in this request, from what LiteLLM notes of each before it tries again."""
    notes = (request.get(name) for name in ("litellm_metadata", "metadata"))
    attempts = (attempt for each in notes if isinstance(each, Mapping) for attempt in each.get("previous_models") or ())
    return {str(attempt.get("deployment_id")) for attempt in attempts if isinstance(attempt, Mapping)}


def _first(turns: object) -> list[str] | None:
    """Return what tells a conversation's first message from others: the ends of its texts, and how long they are."""
    if isinstance(turns, str):
        return _sampled([turns])
    if not isinstance(turns, Sequence):
        return None
    begun: list[str] = []
    for turn in turns[:MOST_PARTS]:
        if not isinstance(turn, Mapping):
            return None
        if turn.get("role") in APPLICATION:
            continue
        # Codex has the person's surroundings and question in messages of their own, one after the other. What has a
        # type in OpenAI's Responses API, and is no message, comes after the first answer. Gemini's may have no role.
        if turn.get("role") not in ("user", None) or turn.get("type", "message") != "message":
            break
        begun += _texts(turn)
    return _sampled(begun) or None


def _sampled(texts: Sequence[str]) -> list[str]:
    return [part for text in texts[:MOST_PARTS] for part in (str(len(text)), text[:SAMPLE], text[-SAMPLE:])]


def _texts(node: object) -> Iterator[str]:
    """Yield the texts of a message, whatever its format."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, Sequence):
        for part in node[:MOST_PARTS]:
            yield from _texts(part)
    elif isinstance(node, Mapping):
        for name in CONTENT:
            yield from _texts(node.get(name))


def _is_long(request: Mapping[str, Any], turns: object) -> bool:
    """Return whether a prompt is so long that a cache could take it; reads no further than it must."""
    parts = [request.get(name) for name in ("system", "systemInstruction", "instructions", "tools")]
    count = 0
    waiting: list[object] = [turns, *parts]
    for _ in range(MOST_STEPS):
        if not waiting or count >= SHORTEST:
            break
        part = waiting.pop()
        if isinstance(part, str):
            count += len(part)
        elif isinstance(part, Mapping):
            waiting += part.values()
        elif isinstance(part, Sequence):
            waiting += part[:MOST_PARTS]
    return count >= SHORTEST


def _number(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).digest()


def _id(deployment: Deployment) -> str:
    return str(deployment["model_info"]["id"])


conversations = Conversations()
