"""Which permissions were never used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.iam.used import own_name, unused

GRANTS, DECISIONS = "grants", "decisions"


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("litellm-local-gateway-MigrationStartServiceRoleCD2420138C30CF5F3", "gateway-MigrationStartServiceRole"),
        ("litellm-dev-onboarding-ScheduleRole756A1A25-0123456789ABC", "onboarding-ScheduleRole"),
        ("litellm-local-onboarding-LiteLlmKeyProviderframeworCAD5A10467A", "onboarding-LiteLlmKeyProviderframewor"),
        ("cdk-hnb659fds-deploy-role-111111111111-us-east-1", ""),
    ],
)
def test_a_role_is_known_by_its_stack_and_logical_id(name: str, own: str) -> None:
    assert own_name(name) == own


def folder(place: Path, grants: list[tuple[str, str]], decisions: list[tuple[str, str, bool]]) -> Path:
    place.mkdir()
    (place / GRANTS).write_text("".join(json.dumps(grant) + "\n" for grant in grants))
    if decisions:
        lines = [
            {
                "principal": f"arn:aws:sts::1:assumed-role/{role}/s",
                "action": action,
                "resource": "*",
                "allowed": allowed,
            }
            for role, action, allowed in decisions
        ]
        (place / DECISIONS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return place


def test_what_any_environment_used_is_used(tmp_path: Path) -> None:
    granted = [("smoke-KeyRole", "ssm:PutParameter"), ("smoke-KeyRole", "ssm:Delete*"), ("usage-Report", "ce:Get*")]
    acted = [
        ("litellm-dev-smoke-KeyRole0123456789ABC", "ssm:DeleteParameter", True),
        ("litellm-dev-usage-ReportServiceRole0123456789ABC", "ce:GetCostAndUsage", False),
        ("another-smoke-KeyRole", "ssm:PutParameter", True),
    ]
    folders = [folder(tmp_path / "one", granted, []), folder(tmp_path / "two", [], acted)]
    assert unused(folders, GRANTS, DECISIONS) == [("smoke-KeyRole", "ssm:PutParameter"), ("usage-Report", "ce:Get*")]
