"""Which services a region lacks, by botocore's list."""

import botocore.session
import pytest

from stacks.company import EXAMPLE, company, load
from stacks.settings.regions import CLOCK, COPIES, NEEDED, ONBOARDING, PIPELINE, lacking, unknown

EVERY = {**NEEDED, **ONBOARDING, **CLOCK, **COPIES, **PIPELINE}


def test_tokyo_has_all() -> None:
    assert not any(map(lacking, company().all.values()))


def test_what_is_not_listed_is_told_by_name() -> None:
    environment = company().environments["dev"].model_copy(update={"region": "eu-south-2"})
    assert lacking(environment) == ("SES",)


@pytest.mark.parametrize("service", EVERY)
def test_every_service_is_one_of_botocores(service: str) -> None:
    """Another name would have no regions, and so never be told of."""
    assert "us-east-1" in botocore.session.Session().get_available_regions(service)


def test_a_service_without_a_list_counts_as_there() -> None:
    assert unknown("us-east-1", {"route53": "Route 53", "ce": "Cost Explorer"}) == ()
    assert unknown("mars-north-1", PIPELINE) == ("CodeBuild", "CodePipeline")


def test_what_is_off_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    regions = {"sesv2": {"us-east-1"}, "scheduler": {"us-east-1"}, "apigatewayv2": {"us-east-1"}}
    monkeypatch.setattr("stacks.settings.regions.regions_of", lambda service: regions.get(service, frozenset()))
    sandbox = load(EXAMPLE.with_name("europe")).environments["sandbox"]
    assert lacking(sandbox) == ("SES",)
    assert lacking(company().environments["dev"]) == ("API Gateway", "EventBridge Scheduler", "SES")
