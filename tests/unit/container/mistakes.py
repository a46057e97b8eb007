"""Has calls fail through the pinned LiteLLM's Router, in LiteLLM's own environment, for test_faults.py.

Reads {"url", "wrong", "down", "told"} from standard input, where `url` is of the regions that
`tests/unit/container/regions.py` simulates, and prints which regions were asked, what another person's calls were
answered by afterwards, and with which status each format's callers are told of each of a provider's.
"""

import asyncio
import json
import sys
import types
from collections.abc import Sequence
from typing import Any

import faults  # type: ignore[import-not-found]
import httpx
import litellm  # type: ignore[import-not-found]
from litellm import Router
from litellm.types.router import Deployment  # type: ignore[import-not-found]

Json = dict[str, Any]
REGIONS = ("us-west-2", "us-east-1", "us-east-2")
PATIENCE = 6000  # hundredths of a second
SAID = [{"role": "user", "content": "Hello"}]
CONTENTS = [{"role": "user", "parts": [{"text": "Hello"}]}]
routers: list[Router] = []
given: Json = json.load(sys.stdin)
proxy: Any = types.ModuleType("litellm.proxy.proxy_server")  # the real one is a web application, and takes seconds
sys.modules[proxy.__name__] = proxy
Router._time_to_sleep_before_retry = lambda *_, **__: 0.0  # nine retries would wait a minute


def entry(name: str, place: str) -> Json:
    address = f"{given['url']}/{place}/{len(routers)}"  # a call that nobody waits for may come late, and is another's
    parameters = {"model": "anthropic/claude-sonnet-5-5", "api_key": "k", "api_base": address}
    return {"model_name": name, "litellm_params": parameters, "model_info": {"id": place}}


def router(**settings: object) -> Router:
    """A model in three regions, one in a single place, and another vendor's, which answers for both."""
    entries = [*(entry("claude", region) for region in REGIONS), entry("only", "alone"), entry("other", "elsewhere")]
    fallbacks = [{"claude": ["other"]}, {"only": ["other"]}, {"other": ["claude"]}]
    routers.append(
        found := Router(model_list=entries, num_retries=0, cooldown_time=30, fallbacks=fallbacks, **settings)
    )
    proxy.llm_router = found
    litellm.callbacks[:] = [faults.Attributed()] if settings else []  # it remembers what has failed
    httpx.delete(given["url"]).raise_for_status()
    return found


def notes(person: str) -> Json:
    return {"user_api_key_hash": f"key of {person}", "user_api_key_user_id": person}


async def call(through: Router, model: str, way: Json, person: str) -> str:
    """Call once as somebody; returns which deployment has answered, or the class of the error."""
    how = {key: value for key, value in way.items() if key not in ("prompt", "operation", "leaves", "models", "times")}
    prompt, operation = way.get("prompt", "Hello"), way.get("operation", "acompletion")
    if operation == "acompletion":
        how = {"messages": [{"role": "user", "content": prompt}], "max_tokens": 5, **how}
    else:
        how["input"] = prompt
    notes = {"user_api_key_hash": f"key of {person}", "user_api_key_user_id": person}
    task = asyncio.create_task(getattr(through, operation)(model=model, metadata=notes, **how))
    if way.get("leaves"):
        await asyncio.sleep(0.05)
        task.cancel()
    try:
        return str((await task)._hidden_params["model_id"])
    except (Exception, asyncio.CancelledError) as error:  # whichever it is: its name is what the test is for
        return type(error).__name__


async def calls(through: Router, wanted: Sequence[tuple[str, Json, str]]) -> list[str]:
    """Call so often at once."""
    return list(await asyncio.gather(*(call(through, *each) for each in wanted)))


async def left_out(through: Router) -> Json:
    """What is left out, and for how many seconds."""
    out = await through.cooldown_cache.async_get_active_cooldowns(through.get_model_ids(), None)
    return {name: value["cooldown_time"] for name, value in out}


async def wrong(way: Json, **settings: object) -> Json:
    """What Ana's calls got, whom they came to, and what Ben's next ones were answered by."""
    through = router(**settings)
    models = way.get("models", ["claude", "only"])
    got = await calls(through, [(model, way, "ana") for model in models for _ in range(way.get("times", 1))])
    for _ in range(0 if settings else PATIENCE):  # LiteLLM's own rule runs in a thread, after the answer
        if len(await left_out(through)) == len(through.get_model_ids()):
            break
        await asyncio.sleep(0.01)
    asked = httpx.get(f"{given['url']}/{len(routers) - 1}").json()
    ben = {model: await calls(through, [(model, {}, "ben")] * 2) for model in models}
    return {"ana": sorted(set(got)), "asked": sorted(set(asked)), "ben": ben, "out": await left_out(through)}


async def down(status: int, people: list[str], places: list[str], retry_after: int = 0) -> Json:
    """What is left out once these places answer with a status to these people."""
    through = router(disable_cooldowns=True)
    for place in places:
        httpx.put(f"{given['url']}/{place}/fault", content=f"{status} {retry_after}").raise_for_status()
    for person in people:
        await calls(through, [("claude", {}, person)] * 4 + [("only", {}, person)] * 2)
    return await left_out(through)


async def told(statuses: Sequence[int], formats: Sequence[tuple[str, str]]) -> list[list[int | str]]:
    """The statuses that become of these, by the format of a call and the provider whose answer they are."""
    bodies: dict[str, Json] = {
        "acompletion": {"messages": SAID},
        "aresponses": {"input": "Hello"},
        "aanthropic_messages": {"messages": SAID, "max_tokens": 5},
        "agenerate_content": {"contents": CONTENTS},
        "agenerate_content_stream": {"contents": CONTENTS, "stream": True},
    }
    through = router(disable_cooldowns=True)
    for status in statuses:
        httpx.put(f"{given['url']}/{status}/fault", content=f"{status}").raise_for_status()
        for model in ("anthropic/claude-sonnet-5-5", "openai/gpt-5.5"):
            parameters = {"model": model, "api_key": "k", "api_base": f"{given['url']}/{status}"}
            name = f"{model.partition('/')[0]} {status}"
            through.add_deployment(Deployment(model_name=name, litellm_params=parameters, model_info={"id": name}))

    async def status_of(operation: str, model: str) -> int | str:
        try:
            await getattr(through, operation)(model=model, **bodies[operation])
        except Exception as error:  # whatever LiteLLM makes of it
            return getattr(error, "status_code", type(error).__name__)
        return "answered"

    return [
        list(await asyncio.gather(*(status_of(operation, f"{provider} {status}") for status in statuses)))
        for operation, provider in formats
    ]


async def main() -> Json:
    """Have all of them fail: first with LiteLLM's own rule, then with ours."""
    found: Json = {"by LiteLLM": await wrong(given["wrong"]["404"])}
    found["wrong"] = {name: await wrong(way, disable_cooldowns=True) for name, way in given["wrong"].items()}
    found["down"] = {name: await down(**case) for name, case in given["down"].items()}
    faults.begin()
    found["told"] = await told(**given["told"])
    return found


print(json.dumps(asyncio.run(main())))
