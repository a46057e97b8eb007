"""How many custom metrics the log-based metrics are: the rule, the aim, and the figures in the documents."""

from itertools import product

import pytest

from stacks import CHECKOUT
from stacks.datadog.custom_metrics import USD, Use, billed, custom_metrics
from stacks.datadog.metrics import METRICS, Metric

COMPANY = Use(people=200, models=4, regions=3)
LARGEST_BILL = 5_000


@pytest.mark.parametrize(
    ("metric", "number"),
    [
        (Metric(name="count", tags=("env",)), 1),
        (Metric(name="distribution", tags=("env",), attribute="cost"), 5),
        (Metric(name="percentiles", tags=("env",), attribute="seconds", percentiles=True), 10),
        (Metric(name="by_user", tags=("user", "team"), attribute="cost"), 5 * 200),
        (Metric(name="by_team", tags=("team",)), 1),
        (Metric(name="by_who", tags=("user", "model", "provider", "team"), attribute="cost"), 5 * 200 * 4),
        (Metric(name="by_region", tags=("model", "provider", "region")), 4 * 3),
        (Metric(name="by_provider", tags=("provider",)), 4),
        (Metric(name="by_outcome", tags=("outcome",)), 2),
        (Metric(name="by_error", tags=("error_code",)), 5),
        (Metric(name="by_outcome_and_error", tags=("outcome", "error_code")), 6),
        (Metric(name="by_kind", tags=("kind",)), 4),
    ],
    ids=lambda each: each.name if isinstance(each, Metric) else "",
)
def test_what_a_metric_counts(metric: Metric, number: int) -> None:
    assert custom_metrics([metric], COMPANY) == number


def test_a_tag_of_which_nothing_is_known() -> None:
    with pytest.raises(KeyError):
        custom_metrics([Metric(name="by_key", tags=("key",))], COMPANY)


def test_the_aim() -> None:
    assert billed(METRICS, COMPANY) < LARGEST_BILL


def test_only_what_is_asked_by_person_has_a_person() -> None:
    """One more distribution by person and model is 4,000 custom metrics in a busy hour."""
    named = {metric.name for metric in METRICS if "user" in metric.tags}
    caches = {"tokens.prompt_by_user", "tokens.cached_by_user", "cache_saved_by_user"}
    assert named == {"cost", "tokens.total", "requests", "budget_used", "rejections"} | caches
    with_model = {metric.name for metric in METRICS if {"user", "model"} <= set(metric.tags)}
    assert with_model == {"cost", "tokens.total", "requests"}
    for metric, tag in product(METRICS, ("region", "outcome", "error_code")):
        assert not {"user", tag} <= set(metric.tags)


@pytest.mark.parametrize("page", ["docs/usage.md", "docs/usage.ja.md"])
def test_the_documents_have_the_figures(page: str) -> None:
    text = (CHECKOUT / page).read_text()
    for number in (custom_metrics(METRICS, COMPANY), billed(METRICS, COMPANY)):
        assert f"{number:,}" in text
    assert f"{USD * billed(METRICS, COMPANY):.0f} USD" in text
