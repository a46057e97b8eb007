"""One entry of the file's `model_list`: what calling it needs, whom it reaches, and whether it has a price."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from stacks.litellm_config.bedrock import BEDROCK_ARN, BEDROCK_ROUTES, GEOGRAPHIES, geography_of
from stacks.litellm_config.catalog import catalog
from stacks.litellm_config.counting import Counted, counted
from stacks.litellm_config.variables import resolve

PROVIDERS: Final = ("azure", "bedrock", "vertex_ai")
"""The prefixes of `litellm_params.model` for which the task has credentials and a way out."""

PRICES_FROM: Final = "prices_from"
"""The key of `model_info` for prices with a day from which they hold; see stacks/litellm_config/prices.py."""


@dataclass(frozen=True)
class Model:
    """One entry of `model_list`: one deployment of a provider that answers for a model name."""

    name: str  # model_name, what callers ask for; entries that share it share its load
    provider: str  # one of PROVIDERS
    model: str  # litellm_params.model, with the provider's prefix
    region: str | None  # aws_region_name; None if not Bedrock
    parameters: Mapping[str, Any]  # litellm_params
    info: Mapping[str, Any]  # model_info
    entry: str  # how messages name it

    @property
    def id(self) -> str:
        """The provider's own id: the model without the prefix and, for Bedrock, without LiteLLM's route."""
        _, _, rest = self.model.partition("/")
        route, _, bare = rest.partition("/")
        return bare if self.provider == "bedrock" and route in BEDROCK_ROUTES else rest

    def bedrock_resources(self, *, partition: str, account: str) -> Iterator[str]:
        """Yield the ARNs that calling this Bedrock entry needs; `partition` and `account` may be CDK tokens."""
        invoked = str(self.parameters.get("model_id") or self.id)
        if arn := BEDROCK_ARN.fullmatch(invoked):
            yield invoked
            if arn["kind"] not in ("inference-profile", "application-inference-profile"):
                return
            invoked = arn["id"] if arn["kind"] == "inference-profile" else self.base
        else:
            geography, _ = geography_of(invoked)
            if geography:
                yield f"arn:{partition}:bedrock:{self.region}:{account}:inference-profile/{invoked}"
        geography, foundation_model = geography_of(invoked)
        destinations = GEOGRAPHIES[geography].destinations if geography else ()
        for region in {self.region, *destinations}:
            yield f"arn:{partition}:bedrock:{region}::foundation-model/{foundation_model}"

    @property
    def counted(self) -> Counted | None:
        """The model, and its region, with which LiteLLM has Bedrock count this entry's tokens."""
        if self.provider != "bedrock":
            return None
        base_model = str(self.info.get("base_model") or self.parameters.get("base_model") or "")
        return counted(self.id, base_model, self.region or "", self.info)

    @property
    def base(self) -> str:
        """The model behind an application inference profile: what `model` names, or else model_info.base_model."""
        named = self.id if not self.id.startswith("arn:") else str(self.info.get("base_model", ""))
        return named.removeprefix("bedrock/")

    def hosts(self, variables: Mapping[str, str]) -> Iterator[str]:
        """Yield the hosts that calling this entry reaches."""
        if self.provider == "bedrock":
            yield f"bedrock-runtime.{self.region}.amazonaws.com"
        elif self.provider == "azure":
            yield urlsplit(resolve(self.parameters["api_base"], variables)).hostname or ""
        else:
            yield "oauth2.googleapis.com"
            location = resolve(self.parameters["vertex_location"], variables)
            if location == "global":
                yield "aiplatform.googleapis.com"
            elif "-" in location:
                yield f"{location}-aiplatform.googleapis.com"
            else:  # the multi-regions eu and us
                yield f"aiplatform.{location}.rep.googleapis.com"

    def is_priced(self) -> bool:
        """Whether LiteLLM can tell what a call costs."""
        return bool(self.own_prices()) or self.listed_as() is not None

    def own_prices(self) -> dict[str, Any]:
        """The prices that the entry has for every day, by LiteLLM's names; none if it does not price its tokens."""
        given = {**self.info, **self.parameters}
        if not any(name.startswith(("input_cost_per_", "output_cost_per_")) for name in given):
            return {}
        return {name: given[name] for name in catalog()["price_names"] if given.get(name) is not None}

    def listed_as(self) -> str | None:
        """LiteLLM's name for it in its list of prices; None if it is not there."""
        return next((name for name in self._names() if name in catalog()["prices"]), None)

    def listed_prices(self) -> Mapping[str, float]:
        """Its prices in LiteLLM's list, by LiteLLM's names; none if it is not there."""
        found: Mapping[str, float] = catalog()["prices"].get(self.listed_as(), {})
        return found

    def _names(self) -> Iterator[str]:
        """Yield under which names the list may have it, what the entry says itself first."""
        if base := self.info.get("base_model"):
            yield str(base)
        if self.provider == "bedrock":
            for name in (str(self.parameters.get("model_id") or self.id), self.id, self.base):
                yield from (f"bedrock/{self.region}/{name}", name, f"bedrock/{name}", geography_of(name)[1])
        else:  # Azure's may have a route before it, as in azure/responses/gpt-6.1-sol
            yield from (self.model, f"{self.provider}/{self.id.rpartition('/')[2]}", self.id)
