"""One entry of the file's `model_list`: what calling it needs, whom it reaches, and whether it has a price."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from stacks.litellm_config.bedrock import (
    BEDROCK_ARN,
    BEDROCK_ROUTES,
    FORMATS,
    GEOGRAPHIES,
    OTHER_ROUTES,
    bedrock_regions,
    geography_of,
)
from stacks.litellm_config.catalog import catalog, modes
from stacks.litellm_config.counting import Counted, counted
from stacks.litellm_config.made import PROFILE_SUFFIX
from stacks.litellm_config.variables import REFERENCE, resolve

if TYPE_CHECKING:
    from stacks.litellm_config.provider import Address, Provider

PRICES_FROM: Final = "prices_from"
"""The key of `model_info` for prices with a day from which they hold; see stacks/litellm_config/prices.py."""


@dataclass(frozen=True)
class Model:
    """One entry of `model_list`: one deployment of a provider that answers for a model name."""

    name: str  # model_name, what callers ask for; entries that share it share its load
    provider: str  # LiteLLM's prefix for it
    model: str  # litellm_params.model, with the provider's prefix
    region: str | None  # that of aws_region_name; None if not Bedrock
    parameters: Mapping[str, Any]  # litellm_params, with those of the credential that they name
    info: Mapping[str, Any]  # model_info
    entry: str  # how messages name it
    row: Provider  # its provider's, of stacks/litellm_config/providers.py
    role: str | None = None  # the ARN of the role that the task's role assumes to call it; None if it does not
    external_id: str | None = None  # with which it does

    @property
    def id(self) -> str:
        """The provider's own id: the model without the prefix and, for Bedrock, without LiteLLM's route and region."""
        return self._split[1]

    @property
    def routes(self) -> tuple[str, ...]:
        """What stands between the provider's prefix and the id: of Bedrock, LiteLLM's routes, formats and regions."""
        return self._split[0]

    @property
    def path_region(self) -> str | None:
        """The region that stands before the id, as in bedrock/us-west-2/…"""
        return next((step for step in self.routes if step in bedrock_regions()), None)

    @property
    def by_role(self) -> bool:
        """Whether it is called with the credentials of the task's role, and so in the environment's own account."""
        return self.row.by_role(self)

    def of_its_account(self) -> Model:
        """The same as it is called in its role's account, by a role there."""
        parameters = {key: value for key, value in self.parameters.items() if key != "aws_role_name"}
        return replace(self, parameters=parameters, role=None, external_id=None)

    @property
    def _split(self) -> tuple[tuple[str, ...], str]:
        _, _, rest = self.model.partition("/")
        if self.provider != "bedrock":
            return (), rest
        return _split_bedrock(rest)

    @property
    def reranks(self) -> bool:
        """Whether it is a model of Bedrock's that reranks, and answers nothing else."""
        names = (self.id, self.base)
        return self.provider == "bedrock" and (self.info.get("mode") == "rerank" or any("rerank" in n for n in names))

    @property
    def made_profile(self) -> str | None:
        """The variable with the ARN of the application inference profile that the deployment makes for it."""
        given = str(self.parameters.get("model_id", ""))
        named = given.startswith(REFERENCE) and given.endswith(PROFILE_SUFFIX)
        return given.removeprefix(REFERENCE) if named else None

    def bedrock_resources(self, *, partition: str, account: str) -> Iterator[str]:
        """Yield the ARNs that calling this Bedrock entry needs; `partition` and `account` may be CDK tokens."""
        invoked = str(self.parameters.get("model_id") or self.id)
        if self.made_profile:  # which the stack permits by its ARN
            invoked = self.base
        elif arn := BEDROCK_ARN.fullmatch(invoked):
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
        if not self.by_role:
            return None
        base_model = str(self.info.get("base_model") or self.parameters.get("base_model") or "")
        return counted(self.id, base_model, self.region or "", self.info)

    @property
    def base(self) -> str:
        """The model behind an application inference profile: what `model` names, or else model_info.base_model."""
        named = self.id if not self.id.startswith("arn:") else str(self.info.get("base_model", ""))
        return named.removeprefix("bedrock/")

    def parameter(self, *names: str) -> str:
        """The first of these parameters that it has; "" if none."""
        return next((str(self.parameters[name]) for name in names if name in self.parameters), "")

    def called_at(self, variables: Mapping[str, str]) -> tuple[Address, ...]:
        """Where its calls go; nothing if only a secret names it."""
        return tuple(self.row.hosts(self, variables))

    def addresses(self, variables: Mapping[str, str]) -> tuple[Address, ...]:
        """Everywhere that calling this entry reaches: the provider, and where its credentials are made a token."""
        return (*self.called_at(variables), *self.row.sign_in(self))

    def hosts(self, variables: Mapping[str, str]) -> Iterator[str]:
        """Yield the hosts of `addresses`."""
        yield from (each.host for each in self.addresses(variables))

    def place(self, variables: Mapping[str, str]) -> str:
        """Where it is called, as records and bills name the place: a region, or its address's first label."""
        if self.row.region:
            return self.region or resolve(self.parameter(*self.row.region), variables)
        return next((each.host.partition(".")[0] for each in self.called_at(variables)), "")

    def is_priced(self) -> bool:
        """Whether LiteLLM can tell what a call costs: of a name with a star, what a call of one in the list does."""
        listed = bool(self.row.priced_as) if "*" in self.id else self.listed_as() is not None
        return bool(self.own_prices()) or listed

    def is_free(self) -> bool:
        """Whether its prices say that its calls cost nothing: its own or, without such, those of LiteLLM's list."""
        prices = self.own_prices() or self.listed_prices()
        return bool(prices) and not any(prices.values()) and PRICES_FROM not in self.info

    def own_prices(self) -> dict[str, float]:
        """The prices that the entry has for every day, by LiteLLM's names; none if it does not price its tokens."""
        given = {**self.info, **self.parameters}
        if not any(name.startswith(("input_cost_per_", "output_cost_per_")) for name in given):
            return {}
        prices = {name: given.get(name) for name in catalog()["price_names"]}
        # YAML takes 3e-06 for text, and LiteLLM makes a number of it.
        return {name: float(price) for name, price in prices.items() if isinstance(price, int | float | str)}

    @property
    def mode(self) -> str | None:
        """What it is for, in LiteLLM's words, as chat or embedding; None if nobody says so."""
        if own := self.info.get("mode"):
            return own if isinstance(own, str) and own in modes() else None
        listed = catalog()
        name = next((name for name in self._names() if name in listed["modes"] or name in listed["prices"]), None)
        return None if name is None else listed["modes"].get(name, "chat")

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
            yield from (str(base), f"{self.provider}/{base}")
        yield from self.row.listed(self)


def _split_bedrock(rest: str) -> tuple[tuple[str, ...], str]:
    """What stands before a model's id, and the id. A format counts before an ARN only: openai/… is no id by itself."""
    steps: list[str] = []
    while True:
        step, slash, after = rest.partition("/")
        is_format = step in FORMATS and after.startswith("arn:")
        if not slash or not (step in BEDROCK_ROUTES or is_format or step in OTHER_ROUTES or step in bedrock_regions()):
            return tuple(steps), rest
        steps.append(step)
        rest = after
