"""What a changed setting does to what is deployed: by the templates before and after, and the schemas of resources."""

from functools import cache
from typing import Any

import aws_cdk as cdk
import pytest

from ops.assembly import Template
from ops.diff import Difference, Pair, differences
from ops.refused import Effect, effect, protected, refusals
from ops.settings_reference import EFFECTS, settings
from stacks import CHECKOUT
from stacks.company import load
from stacks.environment_stage import EnvironmentStage
from stacks.settings import Environment
from tests.company.synthesis import by_stack, context

COMPANY = load(CHECKOUT / "tests" / "companies" / "everything")
BASES = {
    "a new VPC": COMPANY.environments["everyone12"],
    "an existing VPC": COMPANY.environments["green"],
    "one that sleeps": COMPANY.environments["z9"],
}
NEW, EXISTING, ASLEEP = BASES
ZONES = BASES[NEW].network.zones
REGION = BASES[NEW].region

CHANGED: dict[str, dict[str, Any]] = {
    NEW: {
        "hosted_zone.id": "Z0999999OTHER",
        "domain": "llm.example.com.au",
        "network.zones": (ZONES[1], ZONES[0], *ZONES[2:]),
        "network.cidr": "10.97.0.0/16",
        "network.nat_gateways": 2,
        "network.interface_endpoints": ("ecr.api",),
        "network.room_for_zones": 5,
        "ingress.public": False,
        "ingress.requests_per_address": 10_000,
        "ingress.cidrs": ("203.0.113.0/24", "192.0.2.0/24"),
        "ingress.management_cidrs": ("203.0.113.64/28",),
        "ingress.also_open": ("mcp",),
        "gateway.cpu": 8192,
        "gateway.memory": 32768,
        "gateway.workers": 4,
        "gateway.min_tasks": 2,
        "gateway.max_tasks": 8,
        "gateway.max_in_flight_requests": 50,
        "gateway.spot": False,
        "database.min_capacity": 1,
        "database.max_capacity": 64,
        "database.reader": False,
        "database.backup_days": 7,
        "database.copies.region": "ap-southeast-1",
        "database.copies.every_hours": 24,
        "database.copies.days": 7,
        "cache.node": "cache.t4g.micro",
        "cache.replica": False,
        "providers.azure_api_base": "https://other.openai.azure.com",
        "providers.azure_ai_api_base": "https://other.services.ai.azure.com",
        "providers.vertexai_project": "other-project",
        "providers.vertexai_location": "us-central1",
        "providers.dd_site": "us5.datadoghq.com",
        "bedrock.personal_data.kinds": ("email",),
        "bedrock.inference_profiles": (
            {"name": "legal", "model": "global.anthropic.claude-sonnet-5-5", "tags": {"llm-team": "other"}},
        ),
        "providers.servers": (
            {"host": "vllm.models.example.com.au", "port": 8000, "security_group_id": "sg-0999999999999aac9"},
            {"host": "ollama.models.example.com.au", "port": 11434, "cidr": "10.201.0.0/24"},
        ),
        "variables": {"AZURE_OTHER_BASE": "https://other-2.openai.azure.com"},
        "email.reply_to": "other@example.com.au",
        "email.dmarc_policy": "none",
        "email.dmarc_reports": "other@example.com.au",
        "email.smtp_key": "another",
        "onboarding.command": "/other",
        "onboarding.workspace": "T0OTHERRRR",
        "onboarding.audit_channel": "C0OTHERRRR",
        "onboarding.approver_group": "S0OTHERRRR",
        "onboarding.mail_domains": ("example.com.au",),
        "onboarding.teams": ("other",),
        "onboarding.max_budget": 40,
        "onboarding.budget_ceiling": 400,
        "onboarding.budget_duration": "30d",
        "onboarding.models": (),
        "onboarding.tpm_limit": 1000,
        "onboarding.rpm_limit": 10,
        "onboarding.protected": (),
        "onboarding.dry_run": False,
        "onboarding.close_limit": 4,
        "alarms.emails": ("sre@example.com.au",),
        "alarms.workspace": "T0OTHERRRR",
        "alarms.channel": "C0OTHERRRR",
        "alarms.monthly_budget": 20_000,
        "datadog.notify": ("@slack-other",),
        "datadog.spend_jump": 40,
        "datadog.error_percent": 4,
        "datadog.budget_percent": 80,
        "report.channel": "C0OTHERRRR",
        "report.weekly": False,
        "report.monthly": True,
        "report.hour": 13,
        "report.timezone": "Asia/Tokyo",
        "report.top": 5,
        "report.jump_factor": 3,
        "report.jump_minimum": 30,
        "report.seat_percent": 20,
        "report.plans": (),
        "bill.tolerance_percent": 9,
        "bill.profile_tag": "other",
        "bill.azure.tenant": "99999999-aaaa-4bbb-8ccc-dddddddddddd",
        "bill.azure.client": "99999999-aaaa-4bbb-8ccc-dddddddddddd",
        "bill.azure.subscription": "99999999-aaaa-4bbb-8ccc-dddddddddddd",
        "bill.google.table": "other-project.billing.gcp_export_v1_0A",
        "bill.google.location": "US",
        "bill.gemini.table": "other-project.billing.gcp_export_v1_0A",
        "bill.gemini.location": "US",
        "bill.gemini.project": "other-project",
        "bill.openai.projects": (),
        "bill.anthropic.workspaces": (),
        "deletion_protection": False,
        "log_retention_days": 7,
        "tags": {"other": "value"},
    },
    EXISTING: {
        "certificate_arn": None,
        "network.vpc.id": "vpc-0999999999999aaa2",
        "network.vpc.public_subnet_ids": ("subnet-0999999999999ba01", "subnet-0999999999999ba02"),
        "network.vpc.private_subnet_ids": ("subnet-0999999999999bb01", "subnet-0999999999999bb02"),
        "network.vpc.isolated_subnet_ids": ("subnet-0999999999999bc01", "subnet-0999999999999bc02"),
        "network.vpc.nat_addresses": ("198.51.100.8",),
    },
    ASLEEP: {
        "network.nat_instance": False,
        "sleep.awake": "08:00-19:30",
        "sleep.days": ("MON", "FRI"),
        "sleep.timezone": "Asia/Tokyo",
    },
}
# What no change of these shows: another environment, a name that has to fit another setting, what config.yaml needs.
UNTRIED = {"name", "account", "region", "hosted_zone.name", "litellm_license"}


def changed(base: str, values: dict[str, Any]) -> Environment:
    """The environment with other values of some settings."""
    written = BASES[base].model_dump()
    for name, value in values.items():
        *groups, last = name.split(".")
        place = written
        for group in groups:
            place = place[group]
        assert place[last] != value, name
        place[last] = value
    return Environment.model_validate(written)


def synthesized(environment: Environment) -> dict[str, Template]:
    cdk_app = cdk.App(context=context())
    EnvironmentStage(cdk_app, environment=environment, config_file=COMPANY.config)
    return by_stack(cdk_app.synth().get_nested_assembly(f"assembly-{environment.name}"))


@cache
def deployed(base: str) -> dict[str, Template]:
    return synthesized(BASES[base])


def compared(base: str, values: dict[str, Any]) -> tuple[list[Pair], tuple[Difference, ...]]:
    after = synthesized(changed(base, values))
    pairs = [Pair(stack, deployed(base).get(stack), template) for stack, template in after.items()]
    return pairs, differences(pairs)


def effect_of(base: str, values: dict[str, Any]) -> Effect:
    pairs, found = compared(base, values)
    return effect(found, refusals(pairs, found))


def of(kind: Effect, base: str) -> dict[str, Any]:
    """The settings with this effect, with their other values."""
    return {name: value for name, value in CHANGED[base].items() if EFFECTS.get(name, ("in place",))[0] == kind}


def test_every_setting_is_tried() -> None:
    names = {name.partition("[]")[0] for name, _, _ in settings(Environment)}
    tried = {name for values in CHANGED.values() for name in values}
    assert names == tried | UNTRIED
    assert EFFECTS.keys() <= names


@pytest.mark.parametrize("base", BASES)
def test_most_settings_change_in_place_all_together(base: str) -> None:
    assert effect_of(base, of("in place", base)) == "in place"


def test_some_need_new_tasks() -> None:
    values = of("new tasks", NEW)
    assert effect_of(NEW, values) == "new tasks"
    _, found = compared(NEW, {"gateway.memory": 30720})
    assert effect(found, ()) == "new tasks"


@pytest.mark.parametrize(
    ("base", "name", "kind"),
    [(base, name, kind) for base in BASES for kind in ("replaces", "refused") for name in of(kind, base)],
)
def test_each_other_is_by_itself_what_the_reference_says(base: str, name: str, kind: Effect) -> None:
    assert effect_of(base, {name: CHANGED[base][name]}) == kind


def test_a_zone_may_be_added_at_the_end() -> None:
    pairs, found = compared(NEW, {"network.zones": (*ZONES, f"{REGION}d")})
    assert refusals(pairs, found) == ()
    assert effect(found, ()) == "in place"


def test_a_protected_load_balancer_stays() -> None:
    _, found = compared(NEW, {"ingress.public": False})
    (sentence,) = protected(found)
    assert sentence.startswith("Gateway: the load balancer EdgeLoadBalancer")
