"""What the simulated world has to know of a company's config.yaml: whose keys it hands out, and what it bills."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from local.others import keys
from local.outside import anthropic, gemini, mistral, openai
from local.outside.bills import Deployment
from local.outside.credentials import Credentials
from local.outside.servers import Server
from stacks.litellm_config import PRICES_FROM, ROWS, LiteLlmConfig, Model
from stacks.litellm_config.variables import resolve

_OWN_HOSTS = {"anthropic": anthropic.HOST, "gemini": gemini.HOST, "mistral": mistral.HOST, "openai": openai.HOST}
# Those with a simulated service; another row's models are on a server at its address, which speaks OpenAI's format.
_SIMULATED = ("azure", "azure_ai", "bedrock", "vertex_ai", *_OWN_HOSTS)
_REFERENCE = "os.environ/"
_PRICE = re.compile(r"((in|out)put_cost_per|cache_(creation|read)_input)_\w+")


def deployments(config: LiteLlmConfig, variables: Mapping[str, str]) -> dict[tuple[str, str, str], Deployment]:
    """The deployments that are billed as another model than they are called, or at prices of their own.

    They are by provider, place and name; `variables` are what the file refers to.
    """
    by_host = {server.host: server.provider for server in servers(config, variables)}
    return {
        (by_host.get(_host(model, variables), model.provider), model.place(variables), _called(model)): Deployment(
            base, prices, changes
        )
        for model in config.models
        for base, prices, changes in [(_base(model), dict(_prices(model)), model.info.get(PRICES_FROM, {}))]
        if base or prices or changes
    }


def servers(config: LiteLlmConfig, variables: Mapping[str, str]) -> tuple[Server, ...]:
    """The servers of models that the company runs or rents, each with what the entries that call it say of it."""
    found: dict[str, Server] = {}
    on_servers = [each for each in config.models if _is_on_a_server(each, variables)]
    called = ((each, address) for each in on_servers for address in each.called_at(variables))
    for model, (host, port) in called:
        known = found.get(host)
        found[host] = Server(
            host=host,
            port=port,
            plain=resolve(model.parameter("api_base"), variables).startswith("http://"),
            provider=known.provider if known else model.provider,
            models=(known.models if known else frozenset()) | {_called(model)},
            keyed=bool(model.parameters.get("api_key")) or (known is not None and known.keyed),
        )
    return tuple(found.values())


def _is_on_a_server(model: Model, variables: Mapping[str, str]) -> bool:
    """Whether it is called at an address that no service of its provider's is simulated at."""
    if model.row.name not in _SIMULATED:
        return True
    own, host = _OWN_HOSTS.get(model.row.name), _host(model, variables)
    return bool(own and host and host != own and not host.endswith(f".{own}"))


def _host(model: Model, variables: Mapping[str, str]) -> str:
    return next((address.host for address in model.called_at(variables)), "")


def profiles(config: LiteLlmConfig) -> dict[str, str]:
    """The model behind each of Bedrock's ARNs; of an imported one, if nothing names it, the format that it speaks."""
    of_bedrock = [model for model in config.models if model.provider == "bedrock"]
    called = {_called(model): model.base or next(iter(model.routes), "") for model in of_bedrock}
    return {name: base for name, base in called.items() if name.startswith("arn:")}


def credentials_of(
    config: LiteLlmConfig, names: Collection[str], credentials: Credentials, variables: Mapping[str, str]
) -> dict[str, str]:
    """A value for each secret of `names`: what its provider accepts, and something random for one that nobody checks.

    A company names its keys as it likes: an entry's provider tells whose one is.
    """
    known = credentials.as_secrets()
    accepted = {row.name: known.get(row.variables.get("api_key", ""), "") for row in ROWS}
    accepted["vertex_ai"] = credentials.vertex_credentials
    for model in config.models:
        for parameter in model.row.secrets:
            if str(model.parameters.get(parameter, "")).startswith(_REFERENCE):
                known[str(model.parameters[parameter]).removeprefix(_REFERENCE)] = (
                    credentials.server_api_key if _is_on_a_server(model, variables) else accepted[model.row.name]
                )
    known |= dict.fromkeys(keys(config), credentials.others_key)
    return {name: known.get(name) or secrets.token_hex(16) for name in names}


def _called(model: Model) -> str:
    """The name that the provider is asked for."""
    if model.provider in ("azure", "openai"):  # before it may be a route, as in azure/responses/gpt-6.1-sol
        return model.id.removeprefix("responses/") if model.provider == "openai" else model.id.rpartition("/")[2]
    return str(model.parameters.get("model_id") or model.id)


def _base(model: Model) -> str:
    named = str(model.info.get("base_model") or "")
    return model.base if not named and model.provider == "bedrock" and model.base != _called(model) else named


def _prices(model: Model) -> Iterator[tuple[str, float]]:
    given: dict[str, Any] = {**model.info, **model.parameters}
    yield from ((name, float(value)) for name, value in given.items() if _PRICE.fullmatch(name) and value is not None)
