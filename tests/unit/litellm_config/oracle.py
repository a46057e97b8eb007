"""What LiteLLM itself makes of files: run by the Python that has it, with the files' paths as arguments.

Each is loaded as the proxy does at its start, and one that sets something in a fork of its own, so that none sees what
another one has set; several at once, since one that names a server waits for it. JSON, by file: `fails` with what
LiteLLM says, or `models`, by their names, and `prices`: what a thousand tokens in and out cost by LiteLLM's reckoning,
in US dollars, none if it does not know.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import json
import os
import select
import signal
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import litellm  # type: ignore[import-not-found]
import litellm.proxy.proxy_server as server  # type: ignore[import-not-found]
import yaml
from litellm.cost_calculator import completion_cost  # type: ignore[import-not-found]
from litellm.litellm_core_utils.litellm_logging import use_custom_pricing_for_model  # type: ignore[import-not-found]

SECONDS = 60  # for one file, on a busy machine
AT_ONCE = 8  # forks, of which each has tens of megabytes of its own
LIMITS = {"general_settings": "database_connection_pool_limit", "litellm_settings": "request_timeout"}
"""The settings that every file has."""


def loaded(file: str) -> dict[str, Any]:
    """What becomes of one file."""
    # No asyncio.run: it would wait for what LiteLLM goes on doing in the background.
    loop = asyncio.new_event_loop()
    router, _, _ = loop.run_until_complete(server.ProxyConfig().load_config(router=None, config_file_path=file))
    models = router.model_list
    return {"models": [model["model_name"] for model in models], "prices": [price(model) for model in models]}


def price(model: dict[str, Any]) -> float | None:
    """What a thousand tokens in and out cost; None if LiteLLM does not know."""
    info, parameters = model["model_info"], model["litellm_params"]
    _, provider, _, _ = litellm.get_llm_provider(parameters["model"])
    name = parameters["model"].replace(f"{provider}/responses/", f"{provider}/")  # as its bridge to them does
    if "*" in name:  # what a caller asks for stands there
        listed = sorted(litellm.model_cost.items())
        chats = (each for each, of in listed if (of.get("litellm_provider"), of.get("mode")) == (provider, "chat"))
        name = name.replace("*", next(chats, "none").removeprefix(f"{provider}/"))
    usage = litellm.Usage(prompt_tokens=1000, completion_tokens=1000, total_tokens=2000)
    try:
        cost: float = completion_cost(
            completion_response=litellm.ModelResponse(model=name, usage=usage),
            model=name.partition("/")[2],
            custom_llm_provider=provider,
            base_model=info.get("base_model"),
            region_name=parameters.get("aws_region_name"),
            router_model_id=info["id"],
            custom_pricing=use_custom_pricing_for_model({**parameters, "metadata": {"model_info": info}}),
        )
    except Exception:
        return None
    return cost


def verdict(file: str) -> dict[str, Any]:
    """As `loaded`, or why it does not load."""
    signal.alarm(SECONDS)
    try:
        return loaded(file)
    except BaseException as error:
        return {"fails": f"{type(error).__name__}: {error}"}


def sets_nothing(file: str) -> bool:
    """Whether a file has models alone, of which LiteLLM keeps nothing but in their router."""
    document = yaml.safe_load(Path(file).read_text("utf-8"))
    return {key for key in document if not key.startswith("x-")} == {"model_list", *LIMITS} and all(
        document[section].keys() == {key} for section, key in LIMITS.items()
    )


def begun(files: Iterable[str]) -> int:
    """A fork of this process that looks at files one after the other: the pipe with its verdicts, a line each."""
    reads, writes = os.pipe()
    if not os.fork():
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        for file in files:
            os.write(writes, json.dumps([file, verdict(file)]).encode() + b"\n")
        os._exit(0)
    os.close(writes)
    return reads


def answered(groups: Iterable[Sequence[str]]) -> dict[str, dict[str, Any]]:
    """The verdicts of files, each group's by a fork; those that it did not come to take too long."""
    waiting, found = deque(groups), dict[str, dict[str, Any]]()
    forks: dict[int, Sequence[str]] = {}  # by their pipes
    while waiting or forks:
        while waiting and len(forks) < AT_ONCE:
            group = waiting.popleft()
            forks[begun(group)] = group
        ready, _, _ = select.select([*forks], [], [])
        for reads in ready:
            with os.fdopen(reads) as pipe:
                said = dict(json.loads(line) for line in pipe)
            os.wait()
            found |= {file: said.get(file, {"fails": "it takes too long"}) for file in forks.pop(reads)}
    return found


def main() -> None:
    """Answer for each file that is named, once what the first one has LiteLLM import is imported."""
    files = sys.argv[1:]
    with contextlib.redirect_stdout(io.StringIO()):
        loaded(files[0])
    gc.freeze()
    gc.disable()
    alike = {file for file in files if sets_nothing(file)}
    print(json.dumps(answered([sorted(alike), *([file] for file in sorted({*files} - alike))])))


if __name__ == "__main__":
    main()
