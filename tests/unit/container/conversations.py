"""Holds conversations through the pinned LiteLLM's Router, in LiteLLM's own environment, for test_affinity.py.

Reads {"url", "turns", "begin", "grow", "agents"} from standard input, where `url` is of the regions that
`tests/unit/container/regions.py` simulates, and prints what became of the conversations.
"""

import asyncio
import json
import random
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import affinity  # type: ignore[import-not-found]
import httpx
import litellm  # type: ignore[import-not-found]
from litellm import Router
from litellm.proxy.litellm_pre_call_utils import LiteLLMProxyRequestSetup  # type: ignore[import-not-found]

Json = dict[str, Any]
REGIONS = ("us-west-2", "us-east-1", "us-east-2")
PARAMETERS = {"model": "anthropic/claude-sonnet-5-5", "api_key": "k"}
given: Json = json.load(sys.stdin)
tasks = [affinity.Conversations() for _ in range(4)]


def router(*regions: str) -> Router:
    """As config.yaml has it, with regions that the test simulates."""
    entries = [
        {
            "model_name": "claude",
            "litellm_params": {**PARAMETERS, "api_base": f"{given['url']}/{region}"},
            "model_info": {"id": region},
        }
        for region in regions
    ]
    return Router(model_list=entries, num_retries=3, cooldown_time=30, retry_after=0)


async def converse(
    through: Router, name: str, during: Callable[[int, str], Awaitable[None]] | None = None, turns: int = given["turns"]
) -> Json:
    """Hold one conversation, with caches that are empty; return what it cost, and which region each turn had."""
    httpx.delete(given["url"]).raise_for_status()
    beginning = {"type": "text", "text": "word " * (given["begin"] // 5)}
    messages: list[Json] = [{"role": "system", "content": [beginning]}]
    cost, places = 0.0, []
    for turn in range(turns):
        more = {
            "type": "text",
            "text": f"{turn} " + "more " * (given["grow"] // 5),
            "cache_control": {"type": "ephemeral"},
        }
        for message in messages:
            message["content"][0].pop("cache_control", None)
        messages.append({"role": "user", "content": [more]})
        notes = {"session_id": name, "user_api_key_hash": "ana"}
        answer = await through.acompletion(model="claude", messages=messages, max_tokens=50, metadata=notes)
        cost += answer._hidden_params["response_cost"]
        places.append(answer._hidden_params["model_id"])
        messages.append({"role": "assistant", "content": [{"type": "text", "text": answer.choices[0].message.content}]})
        if during:
            await during(turn, places[-1])
    return {"cost": cost, "places": places}


def fail_at(turn: int, status: int) -> Callable[[int, str], Awaitable[None]]:
    """The region that has the conversation fails from that turn on."""

    async def during(now: int, region: str) -> None:
        if now == turn:
            httpx.put(f"{given['url']}/{region}/fault", content=str(status)).raise_for_status()

    return during


async def next_task(*_: object) -> None:
    """The next turn comes to another task, which knows nothing of the conversation."""
    litellm.callbacks[-1] = tasks[0]
    tasks.append(tasks.pop(0))


def identified(agents: Json) -> Json:
    """The number of each request's conversation, by what LiteLLM reads of its headers; of one person and of another."""
    found: Json = {}
    for name, agent in agents.items():
        found[name] = []
        for key in ("ana", "ben"):
            for turn in ("first", "second", "other"):
                headers, data = agent[turn]["headers"], agent[turn]["body"]
                data.setdefault(agent["notes"], {})["user_api_key_hash"] = key
                LiteLLMProxyRequestSetup.add_litellm_metadata_from_request_headers(headers, data, agent["notes"])
                number = affinity.identify(data, data.get("messages"))
                found[name].append(number.hex() if number else None)
    return found


async def main() -> Json:
    """Hold them all."""
    random.seed(1)
    found: Json = {"agents": identified(given["agents"])}
    found["one region"] = await converse(router(REGIONS[0]), "one region")
    found["shuffled"] = await converse(router(*REGIONS), "shuffled")
    litellm.callbacks.append(affinity.conversations)
    found["kept"] = await converse(router(*REGIONS), "kept")
    found["by four tasks"] = await converse(router(*REGIONS), "by four tasks", next_task)
    several = router(*REGIONS)
    found["many"] = [await converse(several, f"many {n}", turns=2) for n in range(8)]
    for status in (429, 500):
        found[str(status)] = await converse(router(*REGIONS), f"failing {status}", fail_at(3, status), turns=8)
    return found


print(json.dumps(asyncio.run(main())))
