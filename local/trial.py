"""A request for each kind of model, and the one that people are shown to try the gateway with."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.gateway import LocalGateway

Json = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of model, by LiteLLM's word for it (`model_info.mode`): where it is asked, and for what."""

    path: str
    body: Mapping[str, Any]


KINDS: Mapping[str, Kind] = {
    "chat": Kind("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hello"}]}),
    "": Kind("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hello"}]}),
    "responses": Kind("/v1/responses", {"input": "Hello"}),
    "embedding": Kind("/v1/embeddings", {"input": "Hello", "encoding_format": "float"}),
}
"""What the simulated providers answer, the most telling first; "" are models of which LiteLLM knows nothing."""


def modes(gateway: LocalGateway) -> dict[str, str]:
    """What each model of config.yaml is for, as LiteLLM knows it; "" if it does not.

    Models that somebody has added in the admin UI are left out.
    """
    answer = gateway.api("GET", "/v1/model/info")
    answer.raise_for_status()
    listed: list[Json] = answer.json()["data"]
    found: dict[str, str] = {each["model_name"]: each["model_info"].get("mode") or "" for each in reversed(listed)}
    names = dict.fromkeys(model.name for model in gateway.config.models)
    return {name: found[name] for name in names if name in found}


def command(gateway: LocalGateway, key: str) -> str:
    """A command line that asks a model of the company's, preferably one that chats; "" if it has none for text."""
    by_mode = {mode: name for name, mode in reversed(modes(gateway).items())}
    for mode, kind in KINDS.items():
        if mode in by_mode:
            body = json.dumps({"model": by_mode[mode], **kind.body})
            return (
                f"  curl {gateway.url}{kind.path} \\\n"
                f"    -H {shlex.quote(f'Authorization: Bearer {key}')} -H 'Content-Type: application/json' \\\n"
                f"    -d {shlex.quote(body)}"
            )
    return ""
