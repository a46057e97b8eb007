"""What the deployed roles may do and never did in the end-to-end tests: each has its reason, or is one too many."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from local.aws import DECISIONS, GRANTS
from local.iam.used import unused

REASONS: Final[dict[tuple[str, str], str]] = {
    ("*Provider*", "lambda:GetFunction"): "the CDK's framework waits with it for a function that is only being made",
    ("*ProviderframeworkonT*", "lambda:InvokeFunction"): "the CDK's framework calls it when a resource takes too long",
    ("*ExecutionRole*", "ecr:BatchCheckLayerAvailability"): "in the CDK's grant to pull an image",
    ("*", "sqs:GetQueueAttributes"): "in the CDK's grant to send to a queue, beside sending",
    ("*", "sqs:GetQueueUrl"): "in the CDK's grants on a queue",
    ("onboarding-BouncesServiceRole*", "sqs:SendMessage"): "where a report goes that Slack never took",
    ("onboarding-SweepServiceRole*", "sqs:SendMessage"): "where a sweep goes that failed for good",
    ("usage-*ServiceRole*", "sqs:SendMessage"): "where a report goes that failed for good",
    ("*-ScheduleRole*", "*"): "its first time is a day away: test_functions has a schedule call its function here",
    ("gateway-MigrationWatchServiceRole*", "ecs:StopTask"): "of a migration that takes 45 minutes",
    (
        "network-CustomVpcRestrictDefaultSG*",
        "*",
    ): "the CDK's function, which needs an SDK in JavaScript, is not run here",
    ("network-VpcFlowLogIAMRole*", "*"): "no packets of a VPC are logged here",
    (
        "onboarding-SweepServiceRole*",
        "dynamodb:*",
    ): "the sweep has the worker's table for what both do: closing accounts",
    ("onboarding-WorkerServiceRole*", "dynamodb:GetItem"): "Powertools reads what is in progress when two meet",
}
"""Why a role (by stack and logical id) may do what it never did here; both may have wildcards."""


def unexplained(folder: Path) -> list[str]:
    """A line for each action that no emulator below a folder saw, and for each reason that none needs."""
    never = unused((file.parent for file in folder.glob(f"**/{GRANTS}")), GRANTS, DECISIONS)
    if not never:
        return []
    reasons = {one: [own for own in REASONS if all(map(fnmatchcase, one, own))] for one in never}
    needless = REASONS.keys() - {own for found in reasons.values() for own in found}
    return [
        *(
            f"{role} never used {action}: take it away, or say why in {_here()}"
            for (role, action), found in reasons.items()
            if not found
        ),
        *(f"{role} used {action}, for which {_here()} has a reason: remove it" for role, action in sorted(needless)),
    ]


def _here() -> str:
    return "tests/e2e/permissions.py"
