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
    ("gateway-SleepFunctionServiceRole*", "sqs:SendMessage"): "where a waking goes that failed for good",
    ("*-ScheduleRole*", "*"): "its first time is a day away: test_functions has a schedule call its function here",
    ("gateway-SmtpCredentialsMakeServiceRol*", "iam:DeleteAccessKey"): "of credentials that are removed with the stack",
    (
        "gateway-SmtpCredentialsMakeServiceRol*",
        "ssm:DeleteParameters",
    ): "of credentials that are removed with the stack",
    (
        "*-LiteLlmKeyMakeServiceRole*",
        "ssm:DeleteParameter",
    ): "of a key that is removed with its stack, as the smoke test's",
    (
        "*-LiteLlmKeyMakeServiceRole*",
        "ssm:GetParameterHistory",
    ): "of a key that is removed or replaced, as the usage key",
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
    """A line for each action that no emulator below a folder saw."""
    never = unused((file.parent for file in folder.glob(f"**/{GRANTS}")), GRANTS, DECISIONS)
    return [
        f"{role} never used {action}: take it away, or say why in tests/e2e/permissions.py"
        for role, action in never
        if not any(fnmatchcase(role, who) and fnmatchcase(action, what) for who, what in REASONS)
    ]
