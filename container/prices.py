"""Prices with a day from which they hold, charged from that day on without a deployment or a restart.

An entry of config.yaml says them in `model_info.prices_from`: a day, and the prices that change on it, by LiteLLM's
names. LiteLLM keeps such a key and does nothing with it. Before each request this callback looks which of them are in
force, and gives the deployment what config.yaml would have to say from then on: `Router.upsert_deployment` is LiteLLM's
own way of changing a deployment that runs, the one that its `/model/update` takes. Every later step (the header of an
answer, the record for Datadog, spend, budgets, `/model/info`) then reckons with them as with any price of an entry.

What a day does not name stays as it was. So what is put there is whole: the model's prices of LiteLLM's list (or the
entry's own, if it has any), and above them those of each day that has come.

config.yaml names `prices.dated` as a callback; LiteLLM imports this module from the folder of the file.
"""

import copy
import logging
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import litellm
import routing
from litellm.integrations.custom_logger import CustomLogger

PRICES_FROM = "prices_from"
# In whose zone a provider's day begins, if not in UTC; stacks/litellm_config/providers.py has the sources.
ZONES = {"vertex_ai": ZoneInfo("America/Los_Angeles")}
# What of an entry of LiteLLM's list is a price, or decides how one is used.
PRICE = re.compile(r"cost|uplift_multiplier|tiered_pricing|off_peak_pricing|billing_unit")
ROUTES = ("converse/", "invoke/")
GEOGRAPHY = re.compile(r"^(us|eu|apac|jp|au|us-gov|global)\.")

_log = logging.getLogger("LiteLLM")


def now() -> datetime:
    """Return the moment, which tests set."""
    return datetime.now(UTC)


def in_force(changes: Mapping[str, Mapping[str, float]], day: str) -> dict[str, float]:
    """Return the prices of each day until this one, the later above the earlier; days are written as 2026-12-01."""
    return {name: price for since in sorted(changes) if since <= day for name, price in changes[since].items()}


def day_of(provider: str, moment: datetime) -> str:
    """Return which day it is where the provider's days begin."""
    return f"{moment.astimezone(ZONES.get(provider, UTC)):%Y-%m-%d}"


def listed(parameters: Mapping[str, Any], info: Mapping[str, Any]) -> dict[str, Any]:
    """Return the prices of LiteLLM's list for an entry, from where LiteLLM takes them itself; none if it has none."""
    for name in _names(parameters, info):
        entry = litellm.model_cost.get(name) or {}
        prices = {key: value for key, value in entry.items() if PRICE.search(key) and value is not None}
        if _prices_anything(prices):
            return copy.deepcopy(prices)
    return {}


def _names(parameters: Mapping[str, Any], info: Mapping[str, Any]) -> Iterator[str]:
    """Yield under which names the list may have a model, what the entry says itself first."""
    base = info.get("base_model")
    if base:
        yield base
    model = str(parameters["model"])
    provider, _, rest = model.partition("/")
    if provider == "bedrock":
        invoked = str(parameters.get("model_id") or rest)
        for id_ in (invoked, rest, (base or "").removeprefix("bedrock/")):
            bare = id_.removeprefix(ROUTES[0]).removeprefix(ROUTES[1])
            region = parameters.get("aws_region_name")
            yield from (f"bedrock/{region}/{bare}", bare, f"bedrock/{bare}", GEOGRAPHY.sub("", bare))
    else:  # Azure's may have a route before it, as in azure/responses/gpt-6.1-sol
        yield from (model, f"{provider}/{rest.rpartition('/')[2]}", rest)


def _prices_anything(prices: Mapping[str, Any]) -> bool:
    return any(name.startswith(("input_cost_per_", "output_cost_per_")) for name in prices)


class DatedPrices(CustomLogger):
    """Changes the prices of deployments on their days."""

    async def async_pre_call_hook(
        self, user_api_key_dict: object, cache: object, data: dict[str, Any], call_type: object
    ) -> None:
        """Look for what is due before a request is given to a deployment."""
        router = routing.router()
        if router is not None:
            bring_up_to_date(router, now())


def bring_up_to_date(router: Any, moment: datetime) -> None:  # noqa: ANN401 - LiteLLM's Router
    """Give each deployment of config.yaml the prices that are in force; one that has them is left alone.

    What is edited in the admin UI is kept in the database, and LiteLLM would write over it every half minute: there the
    prices are edited in the admin UI, too.
    """
    for entry in tuple(router.model_list):
        try:
            info = entry["model_info"]
            if info.get(PRICES_FROM) and not info.get("db_model"):
                _change(router, entry["litellm_params"], info, moment)
        except Exception:  # the request is answered all the same, at the old price
            _log.exception("The prices of a deployment could not be changed on their day")


def _change(router: Any, parameters: Mapping[str, Any], info: Mapping[str, Any], moment: datetime) -> None:  # noqa: ANN401
    provider = str(parameters["model"]).partition("/")[0]
    due = in_force(info[PRICES_FROM], day_of(provider, moment))
    if all(info.get(name) == price for name, price in due.items()):
        return
    deployment = router.get_deployment(model_id=info["id"])
    own = {name: value for name, value in info.items() if PRICE.search(name) and value is not None}
    prices = ({} if _prices_anything(own) else listed(parameters, info)) | own | due
    deployment.model_info = type(deployment.model_info)(**{**deployment.model_info.model_dump(), **prices})
    router.upsert_deployment(deployment=deployment)


dated = DatedPrices()
