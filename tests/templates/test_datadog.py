"""Datadog's objects as resources: which there are, in which order they come and go, and what their function may do."""

import json
from typing import Any

import pytest
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.v1.model.dashboard import Dashboard
from datadog_api_client.v1.model.monitor import Monitor
from datadog_api_client.v2.model.logs_metric_create_request import LogsMetricCreateRequest

from stacks.company import environments
from stacks.datadog.metrics import METRICS
from stacks.settings import Environment
from tests.company.order import at_once
from tests.templates.conftest import Template, resources, statements
from tests.templates.synthesis import artifacts, text

ENVIRONMENTS = environments()
Templates = dict[str, dict[str, Template]]
in_every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
MODELS = {
    "Custom::DatadogLogsMetric": LogsMetricCreateRequest,
    "Custom::DatadogDashboard": Dashboard,
    "Custom::DatadogMonitor": Monitor,
}


def _definitions(template: Template, kind: str) -> dict[str, Any]:
    return {name: json.loads(each["Definition"]) for name, each in resources(template, kind).items()}


@in_every_environment
def test_the_objects(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Datadog"]
    metrics = _definitions(template, "Custom::DatadogLogsMetric")
    assert {each["data"]["id"] for each in metrics.values()} == {each.full_name(environment.name) for each in METRICS}
    (dashboard,) = _definitions(template, "Custom::DatadogDashboard").values()
    assert dashboard["title"] == f"LLM gateway · {environment.name}"
    monitors = _definitions(template, "Custom::DatadogMonitor")
    assert set(monitors) == {
        f"Monitor{name}" for name in ("SpendJump", "SpendDay", "ProviderErrors", "Throttled", "Budget")
    } | (set() if environment.sleep and environment.sleep.awake else {"MonitorSilence"})
    for monitor in monitors.values():
        assert monitor["name"].startswith(f"LLM gateway · {environment.name}: ")


@in_every_environment
def test_definitions_are_valid_and_plain(templates: Templates, environment: Environment) -> None:
    """What is not ASCII does not always come through CloudFormation."""
    client = ApiClient(Configuration())  # type: ignore[no-untyped-call]
    for kind, model in MODELS.items():
        for properties in resources(templates[environment.name]["Datadog"], kind).values():
            assert properties["Definition"].isascii()
            assert not client.deserialize(properties["Definition"], (model,), check_type=True)._unparsed


@in_every_environment
def test_the_settings(templates: Templates, environment: Environment) -> None:
    settings = environment.datadog
    assert settings
    monitors = _definitions(templates[environment.name]["Datadog"], "Custom::DatadogMonitor")
    thresholds = {name: each["options"]["thresholds"]["critical"] for name, each in monitors.items()}
    assert thresholds["MonitorSpendJump"] == settings.spend_jump
    assert thresholds["MonitorSpendDay"] == 4 * settings.spend_jump
    assert thresholds["MonitorProviderErrors"] == settings.error_percent
    assert thresholds["MonitorBudget"] == settings.budget_percent
    for handle in settings.notify:
        assert all(handle in each["message"] for each in monitors.values())


@in_every_environment
def test_metrics_come_first_and_go_last(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Datadog"]["Resources"]
    metrics = {name for name, each in template.items() if each["Type"] == "Custom::DatadogLogsMetric"}
    for name, each in template.items():
        if each["Type"] in MODELS:
            depends = set(each["DependsOn"])
            if name not in metrics:
                assert metrics <= depends
            # The function may still read its keys when the object is removed.
            assert {template[other]["Type"] for other in depends} >= {
                "AWS::IAM::Policy",
                "AWS::Lambda::Function",
            }


@in_every_environment
def test_one_comes_after_the_other(templates: Templates, environment: Environment) -> None:
    """A new account runs ten functions at once, and each object takes two."""
    template = templates[environment.name]["Datadog"]["Resources"]
    waits = {name: each["DependsOn"] for name, each in template.items() if each["Type"] in MODELS}
    assert at_once(dict.fromkeys(waits, 1), {name: waits.keys() & set(each) for name, each in waits.items()}) == 1


@in_every_environment
def test_the_function(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Datadog"]
    (function,) = (
        each
        for each in resources(template, "AWS::Lambda::Function").values()
        if each["Handler"] == "datadog.handler.handler"
    )
    assert "VpcConfig" not in function
    assert function["Environment"]["Variables"] == {
        "PARAMETER_PREFIX": environment.parameter_prefix,
        "DD_SITE": environment.providers.dd_site,
    }
    assert 300 <= function["Timeout"] < 900  # the provider framework's
    retention = {each["RetentionInDays"] for each in resources(template, "AWS::Logs::LogGroup").values()}
    assert retention == {environment.log_retention_days}


@in_every_environment
def test_least_privilege(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Datadog"]
    allowed = {
        (action, text(resource))
        for name, statement in statements(template)
        if name.startswith("Manage")
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        for resource in (statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]])
    }
    prefix = f"arn:aws:ssm:{environment.region}:{environment.account}:parameter/litellm/{environment.name}"
    assert allowed == {("ssm:GetParameter", f"{prefix}/{name}") for name in ("DD_API_KEY", "DD_APP_KEY")}


def test_no_secret_in_a_template(templates: Templates) -> None:
    """The keys are read when the function runs: no variable, parameter or reference holds them."""
    for stacks in templates.values():
        assert "{{resolve:" not in json.dumps(stacks["Datadog"])
        assert set(stacks["Datadog"].get("Parameters", {})) <= {"BootstrapVersion"}


def test_it_waits_for_who_sends_the_records() -> None:
    stacks = artifacts()["dev"]
    needed = {each.id for each in stacks["Datadog"].dependencies}
    assert stacks["Gateway"].id in needed
