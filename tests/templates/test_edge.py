"""The edge: listeners, certificate, name, time-outs and access logs of the load balancer."""

from typing import Any

import pytest

from local.transforms import rewritten
from stacks.company import config_file, environments
from stacks.settings import Environment
from tests.templates.conftest import Template, only, resources
from tests.templates.synthesis import VARIANT, resolved, text, variant

ENVIRONMENTS = environments()
# Each has TLS 1.2 and 1.3 with forward secrecy only; PQ adds post-quantum key exchange.
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
CURRENT_TLS_POLICIES = {"ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"}
Templates = dict[str, dict[str, Template]]
in_every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)


def _request_timeout(environment: Environment) -> int:
    return environment.litellm_config(config_file()).request_timeout


def _listeners(template: Template) -> dict[int, Any]:
    found = resources(template, "AWS::ElasticLoadBalancingV2::Listener").values()
    return {listener["Port"]: listener for listener in found}


def _attributes(properties: dict[str, Any]) -> dict[str, Any]:
    (attributes,) = (value for key, value in properties.items() if key.endswith("Attributes"))
    return {item["Key"]: item["Value"] for item in attributes}


def _load_balancer(template: Template) -> Any:  # noqa: ANN401 - a template is JSON
    return only(template, "AWS::ElasticLoadBalancingV2::LoadBalancer")


@in_every_environment
def test_https_only(templates: Templates, environment: Environment) -> None:
    listeners = _listeners(templates[environment.name]["Gateway"])
    assert {port: listener["Protocol"] for port, listener in listeners.items()} == {80: "HTTP", 443: "HTTPS"}
    assert listeners[443]["SslPolicy"] in CURRENT_TLS_POLICIES
    (redirect,) = listeners[80]["DefaultActions"]
    assert redirect["RedirectConfig"] == {
        "Protocol": "HTTPS",
        "Port": "443",
        "Host": environment.domain,  # not the caller's, which would make it an open redirect
        "StatusCode": "HTTP_301",
    }


def _forwarding(template: Template) -> Any:  # noqa: ANN401 - a template is JSON
    """The rule that leads to the tasks; test_sleep.py has the other one, of a gateway that may sleep."""
    rules = resources(template, "AWS::ElasticLoadBalancingV2::ListenerRule").values()
    (forwards,) = [rule for rule in rules if rule["Actions"][0]["Type"] == "forward"]
    assert forwards["Priority"] == 1
    return forwards


@in_every_environment
def test_answers_only_for_its_own_host_name(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Gateway"]
    (default,) = _listeners(template)[443]["DefaultActions"]
    assert (default["Type"], default["FixedResponseConfig"]["StatusCode"]) == ("fixed-response", "403")
    rule = _forwarding(template)
    assert rule["Conditions"] == [{"Field": "host-header", "HostHeaderConfig": {"Values": [environment.domain]}}]
    assert text(rule["ListenerArn"]) == "<EdgeLoadBalancerHttps>"
    (forward,) = rule["Actions"]
    assert (forward["Type"], text(forward["TargetGroupArn"])) == ("forward", "<EdgeTargets>")


# What Google's SDK asks for, and what LiteLLM is to get.
GOOGLE = {
    "/v1/models/gemini-4-argon:generateContent": "/v1beta/models/gemini-4-argon:generateContent",
    "/v1/models/gemini-4-argon%3AgenerateContent": "/v1beta/models/gemini-4-argon%3AgenerateContent",
    "/v1/models/gemini-4-argon:countTokens": "/v1beta/models/gemini-4-argon:countTokens",
    "/v1/models/gemini-4-argon:streamGenerateContent?alt=sse": (
        "/v1beta/models/gemini-4-argon:streamGenerateContent?alt=sse"
    ),
}
AS_THEY_COME = (
    *("/v1beta/models/gemini-4-argon:generateContent", "/models/gemini-4-argon:generateContent"),
    *("/v1/models", "/v1/models?limit=1000", "/v1/models/gemini-4-argon", "/v1/chat/completions", "/ui/"),
    *("/v1/models/x:predict", "/v1/models/x/y:generateContent", "/x/v1/models/x:generateContent"),
    *("/v1/models/x?:generateContent", "/v1/models/x?y=:generateContent", "/ui?x=/v1/models/x:generateContent"),
)


@in_every_environment
@pytest.mark.parametrize(("url", "target"), [*GOOGLE.items(), *((url, url) for url in AS_THEY_COME)])
def test_googles_methods_lead_to_where_litellm_has_them(
    templates: Templates, environment: Environment, url: str, target: str
) -> None:
    """And nothing else is changed: what the web ACL judged is what LiteLLM gets."""
    rule = _forwarding(templates[environment.name]["Gateway"])
    path, _, query = url.partition("?")
    path, query = rewritten(rule["Transforms"], path, query)
    assert path + (f"?{query}" if query else "") == target


@in_every_environment
def test_long_completions_live(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Gateway"]
    longest = max(_request_timeout(environment), 600)  # for as long OpenAI's and Anthropic's SDKs wait
    assert int(_attributes(_load_balancer(template))["idle_timeout.timeout_seconds"]) >= longest
    targets = only(template, "AWS::ElasticLoadBalancingV2::TargetGroup")
    delay = int(_attributes(targets)["deregistration_delay.timeout_seconds"])
    assert longest <= delay <= 3600  # the most that AWS takes


@in_every_environment
def test_targets(templates: Templates, environment: Environment) -> None:
    targets = only(templates[environment.name]["Gateway"], "AWS::ElasticLoadBalancingV2::TargetGroup")
    assert (targets["TargetType"], targets["Protocol"], targets["Port"]) == ("ip", "HTTP", 4000)
    assert targets["HealthCheckPath"] == "/health/liveliness"  # readiness asks the database
    assert targets["HealthCheckTimeoutSeconds"] < targets["HealthCheckIntervalSeconds"]


@in_every_environment
def test_load_balancer(templates: Templates, environment: Environment) -> None:
    stacks = templates[environment.name]
    load_balancer = _load_balancer(stacks["Gateway"])
    attributes = _attributes(load_balancer)
    assert attributes["deletion_protection.enabled"] == str(environment.deletion_protection).lower()
    assert attributes["routing.http.drop_invalid_header_fields.enabled"] == "true"
    assert load_balancer["Scheme"] == ("internet-facing" if environment.ingress.public else "internal")
    tier = "Public" if environment.ingress.public else "Private"
    zones = range(1, len(environment.network.zones) + 1)
    subnets = map(text, resolved(stacks, load_balancer["Subnets"]))
    assert list(subnets) == [f"<Vpc{tier}Subnet{zone}Subnet>" for zone in zones]
    assert list(map(text, resolved(stacks, load_balancer["SecurityGroups"]))) == ["<LoadBalancerGroup.GroupId>"]


def test_prod_cannot_be_deleted_by_mistake() -> None:
    assert ENVIRONMENTS["prod"].deletion_protection


@in_every_environment
def test_access_logs(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Gateway"]
    attributes = _attributes(_load_balancer(template))
    assert attributes["access_logs.s3.enabled"] == "true"
    assert text(attributes["access_logs.s3.bucket"]) == "<EdgeAccessLogs>"
    (bucket,) = (item for item in template["Resources"].values() if item["Type"] == "AWS::S3::Bucket")
    assert bucket["DeletionPolicy"] == "Retain"
    properties = bucket["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert "BucketEncryption" in properties
    (rule,) = properties["LifecycleConfiguration"]["Rules"]
    assert (rule["ExpirationInDays"], rule["Status"]) == (environment.log_retention_days, "Enabled")
    allowed = [
        statement
        for statement in only(template, "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]
    writes = [text(item["Resource"]) for item in allowed if item["Action"] == "s3:PutObject"]
    assert set(writes) == {f"<EdgeAccessLogs.Arn>/AWSLogs/{environment.account}/*"}


@in_every_environment
def test_name(templates: Templates, environment: Environment) -> None:
    record = only(templates[environment.name]["Gateway"], "AWS::Route53::RecordSet")
    assert (record["Type"], record["Name"]) == ("A", f"{environment.domain}.")
    assert record["HostedZoneId"] == environment.hosted_zone.id
    assert text(record["AliasTarget"]["DNSName"]) == "dualstack.<EdgeLoadBalancer.DNSName>"


@in_every_environment
def test_certificate_is_validated_in_the_hosted_zone(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Gateway"]
    certificate = only(template, "AWS::CertificateManager::Certificate")
    assert (certificate["DomainName"], certificate["ValidationMethod"]) == (environment.domain, "DNS")
    assert certificate["DomainValidationOptions"] == [
        {"DomainName": environment.domain, "HostedZoneId": environment.hosted_zone.id}
    ]
    assert [text(item["CertificateArn"]) for item in _listeners(template)[443]["Certificates"]] == ["<EdgeCertificate>"]


def test_given_certificate() -> None:
    template = variant()["Gateway"]
    assert not resources(template, "AWS::CertificateManager::Certificate")
    assert _listeners(template)[443]["Certificates"] == [{"CertificateArn": VARIANT.certificate_arn}]


def test_internal_load_balancer() -> None:
    """Beside a public one, with targets of its own: a target group belongs to one load balancer at a time."""
    template = variant()["Gateway"]
    (forward,) = _forwarding(template)["Actions"]
    assert text(forward["TargetGroupArn"]) == "<EdgeInternalTargets>"
    record = only(template, "AWS::Route53::RecordSet")
    assert text(record["AliasTarget"]["DNSName"]) == "dualstack.<EdgeInternalLoadBalancer.DNSName>"
    load_balancer = _load_balancer(variant()["Gateway"])
    assert load_balancer["Scheme"] == "internal"
    assert VARIANT.network.vpc
    assert load_balancer["Subnets"] == list(VARIANT.network.vpc.private_subnet_ids)
