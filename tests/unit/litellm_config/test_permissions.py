"""What the task's role may do with the permissions of a file: each call of an operation, and no neighbour of it.

The calls are what AWS's pages say that each asks IAM for; the evaluator of the emulated AWS decides as IAM does.
"""

from __future__ import annotations

from typing import Any

import pytest
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document  # type: ignore[import-untyped]

from stacks.litellm_config.routes import OPERATIONS
from tests.unit.litellm_config.documents import CLAUDE, Load, bedrock, permitted

ACCOUNT = "111122223333"
INVOKE, STREAM = "bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"
COUNT, MANTLE_COUNT, GUARDRAIL = "bedrock:CountTokens", "bedrock-mantle:CountTokens", "bedrock:ApplyGuardrail"
PROFILE = f"arn:aws:bedrock:us-west-2:{ACCOUNT}:inference-profile/us.anthropic.claude-sonnet-5-5"
MODEL = "arn:aws:bedrock:{}::foundation-model/anthropic.claude-sonnet-5-5"
COUNTED = "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-5-5"
PROJECT = f"arn:aws:bedrock-mantle:us-east-1:{ACCOUNT}:project/default"
TITAN = "arn:aws:bedrock:us-west-2::foundation-model/amazon.titan-embed-text-v2:0"
CANVAS = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-canvas-v1:0"
ASKED = f"arn:aws:bedrock:us-west-2:{ACCOUNT}:guardrail/abc123"
Call = tuple[str, str]

# By the operation: entries, what a call asks IAM for, and neighbours of it.
# A profile's call is of the profile, and of its model wherever it may be sent to:
# https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-prereq.html
COHERE = "arn:aws:bedrock:us-west-2::foundation-model/cohere.rerank-v3-5:0"
COMPLETION: list[Call] = [
    *((action, PROFILE) for action in (INVOKE, STREAM)),
    *((action, MODEL.format(region)) for action in (INVOKE, STREAM) for region in ("us-west-2", "us-east-1")),
]
BESIDE_COMPLETION: list[Call] = [
    (INVOKE, PROFILE.replace("sonnet", "opus")),
    (INVOKE, PROFILE.replace("us-west-2", "us-east-1")),
    (INVOKE, PROFILE.replace(ACCOUNT, "999999999999")),
    (INVOKE, MODEL.format("eu-west-1")),
    (INVOKE, MODEL.format("us-west-2").replace("sonnet-5-5", "opus-5-5")),
    ("bedrock:InvokeModelWithBidirectionalStream", MODEL.format("us-west-2")),
    ("bedrock:GetInferenceProfile", PROFILE),
    ("bedrock:CreateModelInvocationJob", MODEL.format("us-west-2")),
    ("bedrock-agentcore:InvokeAgentRuntime", "*"),
]
SONNET = bedrock(CLAUDE, "us-west-2")
ROWS: dict[str, tuple[dict[str, Any], list[Call], list[Call]]] = {
    **dict.fromkeys(
        ("chat completions", "responses", "messages", "generating content"), (SONNET, COMPLETION, BESIDE_COMPLETION)
    ),
    # https://docs.aws.amazon.com/bedrock/latest/userguide/count-tokens.html
    "counting tokens": (
        SONNET,
        [(COUNT, COUNTED), (MANTLE_COUNT, PROJECT)],
        [
            (COUNT, MODEL.format("us-west-2")),
            (COUNT, COUNTED.replace("us-east-1", "us-west-2")),
            (COUNT, COUNTED.replace("opus", "haiku")),
            (MANTLE_COUNT, PROJECT.replace("us-east-1", "us-west-2")),
            (MANTLE_COUNT, PROJECT.replace("default", "other")),
            (INVOKE, COUNTED),
            ("bedrock-mantle:CreateInference", PROJECT),
        ],
    ),
    "embeddings": (
        bedrock("bedrock/amazon.titan-embed-text-v2:0", "us-west-2"),
        [(INVOKE, TITAN)],
        [(INVOKE, TITAN.replace("us-west-2", "us-east-1")), (INVOKE, TITAN.replace("v2", "v1")), (COUNT, TITAN)],
    ),
    # https://docs.aws.amazon.com/bedrock/latest/userguide/rerank-prereq.html
    "reranking": (
        bedrock(f"bedrock/{COHERE}", "us-west-2"),
        [("bedrock:Rerank", "*"), (INVOKE, COHERE)],
        [
            (INVOKE, COHERE.replace("us-west-2", "us-east-1")),
            (INVOKE, COHERE.replace("v3-5", "v4")),
            ("bedrock:Retrieve", "*"),
        ],
    ),
    "images": (
        bedrock("bedrock/amazon.nova-canvas-v1:0", "us-east-1"),
        [(INVOKE, CANVAS)],
        [(INVOKE, CANVAS.replace("us-east-1", "us-west-2")), (INVOKE, CANVAS.replace("canvas", "reel"))],
    ),
}


def _allowed(load: Load, document: dict[str, Any], calls: list[Call]) -> list[Call]:
    """Which of the calls the role may make."""
    statements = [
        {"Effect": "Allow", "Action": [action], "Resource": list(arns)}
        for action, arns in permitted(load(document)).items()
    ]
    policies = [parse_policy_document({"Version": "2012-10-17", "Statement": statements})]
    return [
        (action, arn)
        for action, arn in calls
        if evaluate(
            EvalContext(
                principal_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/task/x",
                principal_type="AssumedRole",
                principal_account=ACCOUNT,
                action=action,
                resource_arn=arn,
                region="us-west-2",
            ),
            policies,
        ).decision
        == "Allow"
    ]


@pytest.mark.parametrize("operation", ROWS)
def test_a_call_is_permitted_and_its_neighbours_are_not(load: Load, operation: str) -> None:
    document, calls, neighbours = ROWS[operation]
    assert _allowed(load, document, calls) == calls
    assert _allowed(load, document, neighbours) == []


def test_every_operation_that_takes_a_permission_is_tried() -> None:
    assert set(ROWS) == {operation.name for operation in OPERATIONS if "bedrock" in operation.takes}


def test_a_guardrail_is_permitted_and_no_other(load: Load) -> None:
    """https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-permissions-id.html"""
    document = bedrock(CLAUDE, "us-west-2")
    named = {"guardrailIdentifier": "abc123", "guardrailVersion": "1"}
    document["model_list"][0]["litellm_params"]["guardrailConfig"] = named
    neighbours = [ASKED.replace("abc123", "abc124"), ASKED.replace("us-west-2", "us-east-1"), "*"]
    assert _allowed(load, document, [(GUARDRAIL, ASKED)]) == [(GUARDRAIL, ASKED)]
    assert _allowed(load, document, [(GUARDRAIL, arn) for arn in neighbours]) == []
    assert _allowed(load, SONNET, [(GUARDRAIL, ASKED)]) == []


@pytest.mark.parametrize("given", [{"api_key": "os.environ/BEDROCK_API_KEY"}])
def test_other_credentials_give_the_role_nothing(load: Load, given: dict[str, str]) -> None:
    document = bedrock(CLAUDE, "us-west-2")
    document["model_list"][0]["litellm_params"] |= given
    assert _allowed(load, document, [*COMPLETION, (COUNT, COUNTED)]) == []
