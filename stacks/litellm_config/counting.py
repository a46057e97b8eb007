"""Which model LiteLLM has Bedrock count a call's tokens with, for /v1/messages/count_tokens, and in which region.

Bedrock does not count for every model, so LiteLLM counts with a related one: `token_count_model` of an entry's
`model_info`, else that of its own price list. Read in LiteLLM 1.106.12: `count_request_tokens` of its
proxy/proxy_server.py, `resolve_token_count_settings` of its proxy/common_utils/token_count_settings.py, and
llms/bedrock/count_tokens. tests/e2e/test_completions.py sees it ask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stacks.litellm_config.bedrock import BEDROCK_ARN, geography_of
from stacks.litellm_config.catalog import catalog


class Counted(NamedTuple):
    """A foundation model's id, without the geography of an inference profile, and the region that is asked."""

    model: str
    region: str


def counted(model: str, base_model: str, region: str, info: Mapping[str, Any]) -> Counted | None:
    """Whom LiteLLM asks for an entry of config.yaml; None if Bedrock cannot count: it does for Anthropic's models only.

    Parameters
    ----------
    model
        `litellm_params.model` without LiteLLM's prefixes.
    base_model
        What the price list is asked for in its place, "" if nothing.
    region
        `aws_region_name`.
    info
        `model_info`.
    """
    own = info.get("token_count_model")
    other = own if isinstance(own, Mapping) else _listed(base_model or model)
    asked, place = str(other.get("model") or model), str(other.get("region") or region)
    if other is not own and not asked.startswith("global.") and _geography(place) != _geography(region):
        place = region  # a prompt stays in the geography that the entry is of
    foundation_model = _foundation_model(asked)
    return Counted(foundation_model, place) if foundation_model.startswith("anthropic.") else None


def _listed(name: str) -> Mapping[str, str]:
    """What the price list says of the first name that it knows of a model."""
    models: Mapping[str, Mapping[str, str]] = catalog()["token_count_models"]
    names: Sequence[str] = (f"bedrock/{name}", name.removeprefix("bedrock/"), _foundation_model(name))
    known = next((each for each in names if each in models or each in catalog()["prices"]), "")
    return models.get(known, {})


def _foundation_model(name: str) -> str:
    """The id that Bedrock is asked about; "" for an ARN that does not tell it."""
    arn = BEDROCK_ARN.fullmatch(name)
    if arn:
        name = arn["id"] if arn["kind"] in ("inference-profile", "foundation-model") else ""
    return geography_of(name.removeprefix("bedrock/"))[1]


def _geography(region: str) -> str:
    """The part of a region's name that says in which part of the world it is, as LiteLLM takes it: us, ap, us-gov."""
    return region.rsplit("-", 2)[0]
