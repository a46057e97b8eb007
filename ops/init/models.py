"""The models of each provider: what is offered by default, and what an answer that names one means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

from ops.init.kinds import RefusedError
from stacks.litellm_config import GEOGRAPHIES, priced_models

NO_PROFILE: Final = "none"
"""The geography of who wants no inference profile: each region serves its models by itself."""

BEDROCK: Final = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "nova-2-lite", "titan-embed-text-v2")
AZURE: Final = ("gpt-6.1-sol", "gpt-6-luna", "text-embedding-3-large")
VERTEX: Final = ("gemini-4-argon", "gemini-3.8-flash")
APIS: Final[Mapping[str, tuple[str, ...]]] = {
    "anthropic": ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"),
    "openai": AZURE,
    "gemini": VERTEX,
    "azure_ai": ("grok-4.7", "deepseek-v4-pro"),
    "mistral": ("mistral-large-4", "mistral-small-latest"),
}
"""By LiteLLM's prefix, those of the providers that ask for a key, and of Azure AI Foundry for an address as well."""

SERVERS: Final = {"vllm": "hosted_vllm", "ollama": "ollama_chat"}
"""LiteLLM's prefix for a server of one's own, by what it speaks: vLLM's is OpenAI's format, as others have it too."""

SUBSTITUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "claude-opus-5-5": ("claude-sonnet-5-5",),
    "claude-sonnet-5-5": ("gpt-6.1-sol", "gemini-4-argon"),
    "claude-haiku-5-5": ("gpt-6-luna", "gemini-3.8-flash", "nova-2-lite"),
    "nova-2-lite": ("gemini-3.8-flash", "gpt-6-luna", "claude-haiku-5-5"),
    "gpt-6.1-sol": ("claude-sonnet-5-5", "gemini-4-argon"),
    "gpt-6-luna": ("claude-haiku-5-5", "gemini-3.8-flash"),
    "gemini-4-argon": ("claude-sonnet-5-5", "gpt-6.1-sol"),
    "gemini-3.8-flash": ("nova-2-lite", "gpt-6-luna", "claude-haiku-5-5"),
    "grok-4.7": ("claude-sonnet-5-5", "gpt-6.1-sol", "gemini-4-argon"),
    "mistral-large-4": ("deepseek-v4-pro", "gemini-3.8-flash", "gpt-6-luna"),
}
"""Models of about the same price or cheaper, elsewhere: the first that there is takes over."""

REGIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "us": ("us-west-2", "us-east-1", "us-east-2"),
    "eu": ("eu-central-1", "eu-west-1", "eu-north-1"),
    "apac": ("ap-northeast-1", "ap-southeast-1", "ap-southeast-2"),
    "jp": ("ap-northeast-1", "ap-northeast-3"),
    "au": ("ap-southeast-2",),
    "global": ("us-west-2", "us-east-1"),
}
"""The geographies that can be called, and the regions that are by default: none that an account has to enable first."""

_NAMED: Final = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,99})(=(?P<id>[^=\s]+))?")


@dataclass(frozen=True)
class Deployment:
    """One entry of `model_list`: a model's name, and LiteLLM's parameters for it."""

    name: str
    model: str  # with the provider's prefix
    region: str | None = None
    info: Mapping[str, str | float] = field(default_factory=dict)


def geographies_of(region: str) -> str:
    """The geography of inference profiles that keeps prompts closest to a region."""
    near = ("jp", "au", "us", "eu", "apac")
    return next((name for name in near if region.startswith(GEOGRAPHIES[name].callers)), "global")


def regions_of(geography: str, home: str) -> tuple[str, ...]:
    """Up to three regions to call, the gateway's own first where the models are in it too."""
    if geography == NO_PROFILE:
        return (home,)
    destinations = GEOGRAPHIES[geography].destinations
    near = (home,) if geography == "global" or home in destinations else ()
    return tuple(dict.fromkeys((*near, *REGIONS[geography])))[:3]


def check_regions(geography: str, regions: Iterable[str]) -> None:
    """Refuse regions that cannot call the geography's profiles.

    Raises
    ------
    RefusedError
        Which, and what there is.
    """
    callers = GEOGRAPHIES[geography].callers if geography in GEOGRAPHIES else ("",)
    if wrong := [region for region in regions if not region.startswith(callers)]:
        raise RefusedError(
            f"{', '.join(wrong)} cannot call the inference profiles of {geography}: use regions such as "
            f"{', '.join(GEOGRAPHIES[geography].destinations)}"
        )


def offered(geography: str) -> tuple[str, ...]:
    """Bedrock's models of the default that LiteLLM has a price of, by that geography's profile or without one."""
    priced = priced_models()
    return tuple(
        name
        for name in BEDROCK
        if (id_ := _bedrock_id(name)) and (geography == NO_PROFILE or f"{geography}.{id_}" in priced or _alone(id_))
    )


def _alone(id_: str) -> bool:
    """Whether a region serves the model by itself, so far as is known: no geography has a profile of it."""
    return not any(f"{geography}.{id_}" in priced_models() for geography in GEOGRAPHIES)


@cache  # it looks through a thousand names, and is asked at each answer
def _bedrock_id(name: str) -> str | None:
    """Bedrock's id of a model that is named without vendor and version: the newest that has a price."""
    fits = re.compile(rf"(?P<vendor>[a-z0-9-]+)\.{re.escape(name)}(-\d{{8}})?(-v\d+)?(:\d+)?")
    found = [
        match[0] for id_ in priced_models() if (match := fits.fullmatch(id_)) and match["vendor"] not in GEOGRAPHIES
    ]
    return max(found, default=None)


def bedrock(named: Iterable[str], geography: str, regions: Iterable[str]) -> Iterator[Deployment]:
    """Bedrock's entries of NAME, NAME=ID, NAME@REGION or NAME=ID@REGION: one a region.

    A model is called through the geography's inference profile where LiteLLM knows it, else by itself.

    Raises
    ------
    RefusedError
        A name is unknown and has no id, or is not written as a model.
    """
    regions = tuple(regions)
    for each in named:
        written, _, only = each.partition("@")
        name, id_ = _named(written)
        id_ = id_ or _bedrock_id(name)
        if not id_:
            raise RefusedError(
                f"'{name}' is no model that Bedrock is known to have: write NAME=ID, with the id that "
                "`aws bedrock list-foundation-models` shows"
            )
        if f"{geography}.{id_}" in priced_models():
            id_ = f"{geography}.{id_}"
        for region in only.split("+") if only else regions:
            yield Deployment(name, f"bedrock/{id_}", region)


def azure(named: Iterable[str]) -> Iterator[Deployment]:
    """Azure's entries of NAME or NAME=DEPLOYMENT; a deployment that is not named like its model has the model's price.

    Raises
    ------
    RefusedError
        One is not written as a model.
    """
    for each in named:
        name, deployment = _named(each)
        base = f"azure/{name}"
        known = f"azure/{deployment or name}" in priced_models() or base not in priced_models()
        yield Deployment(name, f"azure/{deployment or name}", info={} if known else {"base_model": base})


def api(provider: str, named: Iterable[str]) -> Iterator[Deployment]:
    """The entries of NAME or NAME=ID of a provider whose ids stand behind LiteLLM's prefix for it.

    Raises
    ------
    RefusedError
        One is not written as a model.
    """
    for each in named:
        name, id_ = _named(each)
        yield Deployment(name, f"{provider}/{id_ or name}")


def server(company: Mapping[str, Any]) -> Iterator[Deployment]:
    """The entries of NAME or NAME=ID of a server of one's own, each with what a token costs there.

    Raises
    ------
    RefusedError
        One is not written as a model.
    """
    millions = {kind: company.get(f"server.{kind}_price", 0) for kind in ("input", "output")}
    prices = {f"{kind}_cost_per_token": float(f"{price / 1e6:.12g}") for kind, price in millions.items()}
    prefix = SERVERS[company.get("server.speaks", "vllm")]
    for each in company.get("server.models", ()):
        name, id_ = _named(each)
        yield Deployment(name, f"{prefix}/{id_ or name}", info=prices)


def server_place(company: Mapping[str, Any]) -> tuple[str, int] | None:
    """Host and port of that server, where the tasks have to be let out to them; None if HTTPS is all it takes."""
    address = str(company.get("server.address") or "") if company.get("server") else ""
    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return (parts.hostname, port) if parts.hostname and (parts.scheme, port) != ("https", 443) else None


def _named(written: str) -> tuple[str, str | None]:
    found = _NAMED.fullmatch(written)
    if not found:
        raise RefusedError(f"'{written}' is no model: write NAME or NAME=ID, the name of letters, digits and . _ -")
    return found["name"], found["id"]


def deployments(company: Mapping[str, Any]) -> Iterator[tuple[str, list[Deployment]]]:
    """Every provider that is used, with its entries; none where config.yaml is not written from the answers."""
    if company.get("own_config"):
        return
    if company.get("bedrock"):
        geography = company.get("bedrock.geography", NO_PROFILE)
        yield "bedrock", list(bedrock(company.get("bedrock.models", ()), geography, company.get("bedrock.regions", ())))
    if company.get("azure"):
        yield "azure", list(azure(company.get("azure.models", ())))
    if company.get("vertex"):
        yield "vertex", list(api("vertex_ai", company.get("vertex.models", ())))
    for provider in APIS:
        if company.get(provider):
            yield provider, list(api(provider, company.get(f"{provider}.models", ())))
    if company.get("server"):
        yield "server", list(server(company))


def fallbacks(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each model with the one that takes over when every deployment of it fails."""
    names = tuple(names)
    for name in names:
        if substitute := next((other for other in SUBSTITUTES.get(name, ()) if other in names), None):
            yield name, substitute
