"""How many custom metrics Datadog counts, and bills, for log-based metrics.

Each combination of a metric's name and the values of its tags that occurs in an hour is one ("Custom Metrics Billing":
docs.datadoghq.com/account_management/billing/custom_metrics). A count of logs is one of them; a distribution is five,
its count, sum, min, max and avg, and with percentiles ten ("Generate Metrics from Ingested Logs": docs.datadoghq.com/
logs/log_configuration/logs_to_metrics). Billed is the average over the hours of a month, beyond what comes with the
hosts of a plan, of which this gateway has none; a contract by metric names (Metric Name Pricing) counts otherwise.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from stacks.datadog.metrics import Metric

COUNT, DISTRIBUTION, PERCENTILES = 1, 5, 10
HOURS = 730  # of a month
WORKING_HOURS = 176  # 22 days of 8 hours
USD = 0.05  # a month for each: Datadog's list price is 5 dollars for 100


@dataclass(frozen=True, kw_only=True)
class Use:
    """What occurs in an hour: so many people, of one team each, who all use so many models, in so many regions each.

    `errors` are the codes of errors that occur, `kinds` those of records: calls, rejections, LiteLLM's own work and
    heartbeats.
    """

    people: int
    models: int
    regions: int
    teams: int = 1
    errors: int = 5
    kinds: int = 4

    def combinations(self, tags: Iterable[str]) -> int:
        """How many combinations of values of tags occur, at most.

        Some follow from others, and so add none: the team from the person, the provider from the model, the outcome
        from the code of the error, which a success has not.

        Raises
        ------
        KeyError
            It is not known how many values a tag has.
        """
        known = set(tags)
        values = {
            "user": self.people,
            "team": 1 if "user" in known else self.teams,
            "model": self.models,
            "provider": 1 if "model" in known else self.models,
            "region": self.regions,
            "error_code": self.errors + ("outcome" in known),
            "outcome": 1 if "error_code" in known else 2,
            "kind": self.kinds,
            "env": 1,
        }
        return prod(values[tag] for tag in known)


def custom_metrics(metrics: Iterable[Metric], use: Use) -> int:
    """How many custom metrics are counted in an hour, at most."""
    return sum(_each(metric) * use.combinations(metric.tags) for metric in metrics)


def billed(metrics: Iterable[Metric], use: Use) -> int:
    """How many are billed a month, at most, if everything is used in every working hour and in no other one."""
    return round(custom_metrics(metrics, use) * WORKING_HOURS / HOURS)


def _each(metric: Metric) -> int:
    """How many custom metrics a combination of the values of its tags is."""
    if not metric.attribute:
        return COUNT
    return PERCENTILES if metric.percentiles else DISTRIBUTION
