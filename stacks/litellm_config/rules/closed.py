"""What LiteLLM serves on routes that the web ACL keeps for operators, and what it calls without a permission."""

from __future__ import annotations

from typing import Final

from stacks.litellm_config.file import Place
from stacks.litellm_config.rules.reading import Reading

ROUTES: Final = {
    ("agent_list",): "/a2a",
    ("agents",): "/a2a",
    ("assistant_settings",): "/v1/assistants and /v1/threads",
    ("finetune_settings",): "/v1/fine_tuning/jobs",
    ("mcp_servers",): "/mcp",
    ("mcp_tools",): "/mcp",
    ("search_tools",): "/v1/search",
    ("vector_store_registry",): "/v1/vector_stores",
}
"""Parts of the file whose routes answer from the management ranges alone; OPERATIONS in stacks/litellm_config/routes.py
has those that are open."""


def check(reading: Reading) -> None:
    """Warn of routes that are closed, and refuse a knowledge base."""
    for (key,), routes in ROUTES.items():
        if reading.document.get(key):
            reading.warn((key,), f"the web ACL keeps {routes} for the management ranges: others who call get 403")
    _check_pass_through(reading)
    stores = reading.document.get("vector_store_registry")
    for index, store in enumerate(stores if isinstance(stores, list) else ()):
        parameters = store.get("litellm_params") if isinstance(store, dict) else None
        if isinstance(parameters, dict) and parameters.get("custom_llm_provider") == "bedrock":
            reading.refuse(
                ("vector_store_registry", index),
                "a knowledge base is asked by bedrock:Retrieve, which the task's role is not given: remove it",
            )


def _check_pass_through(reading: Reading) -> None:
    place: Place = ("general_settings", "pass_through_endpoints")
    endpoints = reading.section("general_settings").get("pass_through_endpoints")
    if endpoints is None:
        return
    if not isinstance(endpoints, list):
        reading.refuse(place, "it must be a list of endpoints, as in [{path: …, target: …}]")
        return
    for index, endpoint in enumerate(endpoints):
        for key in ("path", "target"):
            if not isinstance(endpoint, dict) or not isinstance(endpoint.get(key), str):
                reading.refuse((*place, index), f"it has no {key}: LiteLLM needs it")
                break
        else:
            told = f"the web ACL keeps {endpoint['path']} for the management ranges, unless it is a route of models"
            reading.warn((*place, index), told)
