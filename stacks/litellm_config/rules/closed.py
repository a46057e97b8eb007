"""What LiteLLM serves on routes that the web ACL keeps for operators, and what it calls without a permission."""

from __future__ import annotations

from typing import Final

from stacks.litellm_config.rules.reading import Reading

ROUTES: Final = {
    ("agent_list",): "/a2a",
    ("agents",): "/a2a",
    ("assistant_settings",): "/v1/assistants and /v1/threads",
    ("finetune_settings",): "/v1/fine_tuning/jobs",
    ("search_tools",): "/v1/search",
    ("vector_store_registry",): "/v1/vector_stores",
}
"""Parts of the file whose routes answer from the management ranges alone; LLM_ROUTES in stacks/gateway/web_acl.py has
those that are open."""


def check(reading: Reading) -> None:
    """Warn of routes that are closed, and refuse a knowledge base."""
    for (key,), routes in ROUTES.items():
        if reading.document.get(key):
            reading.warn((key,), f"the web ACL keeps {routes} for the management ranges: others who call get 403")
    stores = reading.document.get("vector_store_registry")
    for index, store in enumerate(stores if isinstance(stores, list) else ()):
        parameters = store.get("litellm_params") if isinstance(store, dict) else None
        if isinstance(parameters, dict) and parameters.get("custom_llm_provider") == "bedrock":
            reading.refuse(
                ("vector_store_registry", index),
                "a knowledge base is asked by bedrock:Retrieve, which the task's role is not given: remove it",
            )
