"""What the simulated world has to know of a company's config.yaml: whose keys it hands out, and what it bills."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from local.outside.bills import Deployment
from local.outside.credentials import Credentials
from stacks.litellm_config import PRICES_FROM, LiteLlmConfig, Model

_REFERENCE = "os.environ/"
_PRICE = re.compile(r"((in|out)put_cost_per|cache_(creation|read)_input)_\w+")


def deployments(config: LiteLlmConfig, variables: Mapping[str, str]) -> dict[tuple[str, str, str], Deployment]:
    """The deployments that are billed as another model than they are called, or at prices of their own.

    They are by provider, place and name; `variables` are what the file refers to.
    """
    return {
        (model.provider, model.place(variables), _called(model)): Deployment(base, prices, changes)
        for model in config.models
        for base, prices, changes in [(_base(model), dict(_prices(model)), model.info.get(PRICES_FROM, {}))]
        if base or prices or changes
    }


def profiles(config: LiteLlmConfig) -> dict[str, str]:
    """The model behind each of Bedrock's ARNs."""
    called = {_called(model): model.base for model in config.models if model.provider == "bedrock"}
    return {name: base for name, base in called.items() if name.startswith("arn:")}


def credentials_of(config: LiteLlmConfig, names: Collection[str], credentials: Credentials) -> dict[str, str]:
    """A value for each secret of `names`: what its provider accepts, and something random for one that nobody checks.

    A company names its keys as it likes: an entry's provider tells whose one is.
    """
    known = credentials.as_secrets()
    accepted = {"azure": credentials.azure_api_key, "vertex_ai": credentials.vertex_credentials}
    for model in config.models:
        for parameter in model.row.secrets:
            if str(model.parameters.get(parameter, "")).startswith(_REFERENCE):
                known[str(model.parameters[parameter]).removeprefix(_REFERENCE)] = accepted[model.row.name]
    return {name: known.get(name) or secrets.token_hex(16) for name in names}


def _called(model: Model) -> str:
    """The name that the provider is asked for."""
    if model.provider == "azure":  # before it may be a route, as in azure/responses/gpt-6.1-sol
        return model.id.rpartition("/")[2]
    return str(model.parameters.get("model_id") or model.id)


def _base(model: Model) -> str:
    named = str(model.info.get("base_model") or "")
    return model.base if not named and model.provider == "bedrock" and model.base != _called(model) else named


def _prices(model: Model) -> Iterator[tuple[str, float]]:
    given: dict[str, Any] = {**model.info, **model.parameters}
    yield from ((name, float(value)) for name, value in given.items() if _PRICE.fullmatch(name) and value is not None)
