"""What LiteLLM serves on routes that the web ACL keeps for operators, and what it calls without a permission."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from stacks.litellm_config.file import Place
from stacks.litellm_config.model import Model
from stacks.litellm_config.routes import OPERATIONS
from stacks.litellm_config.rules.addresses import check_address
from stacks.litellm_config.rules.reading import Reading

ROUTES: Final = {
    ("agent_list",): "/a2a",
    ("agents",): "/a2a",
    ("assistant_settings",): "/v1/assistants and /v1/threads",
    ("files_settings",): "/v1/files and /v1/batches",
    ("finetune_settings",): "/v1/fine_tuning/jobs",
    ("search_tools",): "/v1/search",
    ("vector_store_registry",): "/v1/vector_stores",
}
"""Parts of the file whose routes answer from the management ranges alone; OPERATIONS in stacks/litellm_config/routes.py
has those that are open to all, and features.py beside it those that a setting opens.

Of files and batches LiteLLM knows whose they are only by its managed files, whose hook (`enterprise.enterprise_hooks`
in its proxy/hooks/__init__.py) is not in its package: an id of the provider's it hands on with the gateway's
credentials, whoever asks (`validate_managed_id_requirement` in its proxy/openai_files_endpoints/common_utils.py), and
it lists those of the whole account."""


def check(reading: Reading) -> None:
    """Warn of routes that are closed, and refuse a knowledge base, and addresses that the task cannot reach."""
    for (key,), routes in ROUTES.items():
        if reading.document.get(key):
            reading.warn((key,), f"the web ACL keeps {routes} for the management ranges: others who call get 403")
    for key in ("finetune_settings", "files_settings", "search_tools"):
        for index, entry in enumerate(_list(reading, key)):
            inside = ("litellm_params",) if key == "search_tools" else ()
            _check_address(reading, (key, index), entry, inside)
    for key in ("agent_list", "agents"):
        for index, agent in enumerate(_list(reading, key)):
            _check_address(reading, (key, index), agent, ("agent_card_params",), "url")
    settings = reading.document.get("assistant_settings")
    _check_address(reading, ("assistant_settings",), settings, ("litellm_params",))
    for index, store in enumerate(_list(reading, "vector_store_registry")):
        place: Place = ("vector_store_registry", index)
        parameters = store.get("litellm_params") if isinstance(store, dict) else None
        if isinstance(parameters, dict) and parameters.get("custom_llm_provider") == "bedrock":
            reading.refuse(
                place, "a knowledge base is asked by bedrock:Retrieve, which the task's role is not given: remove it"
            )
        _check_address(reading, place, store, ("litellm_params",))


def check_modes(reading: Reading, models: Iterable[Model]) -> None:
    """Warn of a model that is for what no open route serves, as one that people talk to (`realtime`)."""
    served = {mode for operation in OPERATIONS for mode in operation.modes}
    for index, model in enumerate(models):
        if model.mode is not None and model.mode not in served:
            reading.warn(
                ("model_list", index),
                f"the web ACL keeps the routes of its mode, {model.mode}, for the management ranges: others who call "
                "get 403",
            )


def _list(reading: Reading, key: str) -> list[Any]:
    value = reading.document.get(key)
    return value if isinstance(value, list) else []


def _check_address(
    reading: Reading, place: Place, entry: object, inside: tuple[str, ...], key: str = "api_base"
) -> None:
    value: Any = entry
    for step in inside:
        value = value.get(step) if isinstance(value, dict) else None
    if isinstance(value, dict):
        check_address(reading, place, value, key, at=(*inside, key))
