"""The log-based metrics in Datadog, of the records that the gateway sends of its calls, and how they are asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A log-based metric: a distribution of an attribute of the records or, without one, their number.

    `name` is the part after the environment's, `kind` the kind of records that count (None: all). `tags` are attributes
    of the records by which it can be told apart, `env` is the environment. Percentiles can be asked only where it keeps
    them. Names are letters, digits, points and underscores (docs.datadoghq.com/metrics/custom_metrics/#naming-custom-
    metrics); of a tag's value, Datadog makes small letters and writes an underscore for what it does not know, such as
    the @ of a mail address (docs.datadoghq.com/getting_started/tagging/#define-tags).

    What they cost is in `stacks.datadog.custom_metrics`. So nothing has a tag whose values never end, such as a key or
    a call; only what is asked by person has a person, and what has one has no region, outcome or error. That Datadog's
    page on log-based metrics advises against user ids is known: who uses what is the question here, and the people of a
    company end. What caches do is kept by person and by model, and not by both at once: that would be four times as
    much as the former, and `make usage` and the report have it.
    """

    name: str
    tags: tuple[str, ...]
    attribute: str | None = None
    percentiles: bool = False
    kind: str | None = "call"

    def full_name(self, environment: str) -> str:
        """The name by which Datadog knows it."""
        return f"llm_gateway.{environment}.{self.name}"

    def definition(self, environment: str) -> Json:
        """What Datadog's API takes to make it (v2, `logs/config/metrics`)."""
        compute: Json = {"aggregation_type": "count"}
        if self.attribute:
            compute = {
                "aggregation_type": "distribution",
                "path": f"@llm.{self.attribute}",
                "include_percentiles": self.percentiles,
            }
        records = f"service:litellm-gateway env:{environment}"
        return {
            "data": {
                "id": self.full_name(environment),
                "type": "logs_metrics",
                "attributes": {
                    "compute": compute,
                    "filter": {"query": f"{records} @llm.kind:{self.kind}" if self.kind else records},
                    "group_by": [
                        {"path": tag if tag == "env" else f"@llm.{tag}", "tag_name": tag} for tag in self.tags
                    ],
                },
            }
        }

    def query(self, environment: str, aggregation: str = "sum", *, scope: str = "*", by: Sequence[str] = ()) -> str:
        """A query of it. A sum is a count, of which the values of an interval add up, and none is 0.

        https://docs.datadoghq.com/metrics/custom_metrics/type_modifiers
        """
        grouped = f" by {{{','.join(by)}}}" if by else ""
        suffix = ".as_count()" if aggregation == "sum" else ""
        return f"{aggregation}:{self.full_name(environment)}{{{scope}}}{grouped}{suffix}"


_WHO = ("user", "model", "provider", "team", "env")
_PERSON = ("user", "team", "env")
_WHERE = ("model", "provider", "region", "env")
_MODEL = ("model", "provider", "env")

# By person and model.
COST = Metric(name="cost", tags=_WHO, attribute="cost")
TOTAL_TOKENS = Metric(name="tokens.total", tags=_WHO, attribute="total_tokens")
REQUESTS = Metric(name="requests", tags=_WHO)
# By person.
BUDGET_USED = Metric(name="budget_used", tags=_PERSON, attribute="budget_used_percent")
REJECTIONS = Metric(name="rejections", tags=_PERSON, kind="rejected")
PROMPT_TOKENS_BY_USER = Metric(name="tokens.prompt_by_user", tags=_PERSON, attribute="prompt_tokens")
CACHED_TOKENS_BY_USER = Metric(name="tokens.cached_by_user", tags=_PERSON, attribute="cached_tokens")
CACHE_SAVED_BY_USER = Metric(name="cache_saved_by_user", tags=_PERSON, attribute="cache_saved")
# Of everybody.
PROMPT_TOKENS = Metric(name="tokens.prompt", tags=_MODEL, attribute="prompt_tokens")
COMPLETION_TOKENS = Metric(name="tokens.completion", tags=_MODEL, attribute="completion_tokens")
CACHED_TOKENS = Metric(name="tokens.cached", tags=_MODEL, attribute="cached_tokens")
CACHE_WRITE_TOKENS = Metric(name="tokens.cache_write", tags=_MODEL, attribute="cache_write_tokens")
CACHE_SAVED = Metric(name="cache_saved", tags=_MODEL, attribute="cache_saved")
COST_BY_REGION = Metric(name="cost_by_region", tags=_WHERE, attribute="cost")
ATTEMPTS = Metric(name="attempts", tags=(*_WHERE, "outcome", "error_code"))
REJECTION_ERRORS = Metric(name="rejection_errors", tags=("model", "error_code", "env"), kind="rejected")
DURATION = Metric(name="duration", tags=_WHERE, attribute="seconds", percentiles=True)
FIRST_TOKEN = Metric(name="first_token", tags=_WHERE, attribute="first_token_seconds", percentiles=True)
OVERHEAD = Metric(name="overhead", tags=_WHERE, attribute="overhead_ms", percentiles=True)
RECORDS = Metric(name="records", tags=("kind", "env"), kind=None)

METRICS = (
    *(PROMPT_TOKENS, COMPLETION_TOKENS, CACHED_TOKENS, CACHE_WRITE_TOKENS, TOTAL_TOKENS, COST, REQUESTS),
    *(DURATION, FIRST_TOKEN, OVERHEAD, BUDGET_USED, REJECTIONS, RECORDS),
    *(ATTEMPTS, COST_BY_REGION, REJECTION_ERRORS),
    *(PROMPT_TOKENS_BY_USER, CACHED_TOKENS_BY_USER, CACHE_SAVED_BY_USER, CACHE_SAVED),
)
