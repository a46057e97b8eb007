"""The evaluator of policies that the emulated AWS uses, against what AWS documents with examples.

The pages are of the IAM user guide, docs.aws.amazon.com/IAM/latest/UserGuide/: evaluation logic in
reference_policies_evaluation-logic.html, elements in reference_policies_elements_{action,notaction,resource}.html,
conditions in reference_policies_elements_condition_operators.html and
reference_policies_condition-logic-multiple-context-keys-or-values.html, sets in
reference_policies_condition-single-vs-multi-valued-context-keys.html.
"""

from __future__ import annotations

from typing import Any

import pytest
from ministack.core.iam_evaluator import (  # type: ignore[import-untyped]
    EvalContext,
    evaluate,
    evaluate_resource_policy,
    parse_policy_document,
)

QUEUE = "arn:aws:sqs:us-east-1:111122223333:orders"
ROLE = "arn:aws:sts::111122223333:assumed-role/worker/session"
ANY: dict[str, Any] = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def context(**keys: object) -> EvalContext:
    """A message that a role sends to a queue, with these condition keys ("__" for a colon)."""
    return EvalContext(
        principal_arn=ROLE,
        principal_type="AssumedRole",
        principal_account="111122223333",
        action="sqs:SendMessage",
        resource_arn=QUEUE,
        region="us-east-1",
        service_context={name.replace("__", ":").lower(): value for name, value in keys.items()},
    )


def decision(statements: list[dict[str, Any]], asked: EvalContext, *boundaries: list[dict[str, Any]]) -> str:
    policies = [parse_policy_document({"Statement": statements})]
    limits = [[parse_policy_document({"Statement": limit})] for limit in boundaries]
    return str(evaluate(asked, policies, *limits).decision)


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        pytest.param([], "ImplicitDeny", id="by default all requests are denied"),
        pytest.param([ANY], "Allow", id="an explicit allow overrides that"),
        pytest.param([ANY, ANY | {"Effect": "Deny"}], "Deny", id="an explicit deny overrides any allow"),
        pytest.param([ANY | {"Action": "sqs:Send*"}], "Allow", id="a wildcard in an action"),
        pytest.param([ANY | {"Action": "SQS:sendmessage"}], "Allow", id="actions have no case"),
        pytest.param([ANY | {"Action": "s3:*"}], "ImplicitDeny", id="another service's actions"),
        pytest.param([ANY | {"Resource": QUEUE[:-1] + "?"}], "Allow", id="one character of a resource"),
        pytest.param([ANY | {"Resource": QUEUE.upper()}], "ImplicitDeny", id="resources have a case"),
        pytest.param(
            [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], "Allow", id="everything but what is named"
        ),
        pytest.param(
            [ANY, {"Effect": "Deny", "Action": "*", "NotResource": QUEUE}], "Allow", id="a deny of all the others"
        ),
    ],
)
def test_a_statement_applies_by_action_and_resource(statements: list[dict[str, Any]], expected: str) -> None:
    assert decision(statements, context()) == expected


@pytest.mark.parametrize(
    ("condition", "keys", "holds"),
    [
        ({"StringEquals": {"a:Key": "One"}}, {"a__key": "One"}, True),
        ({"StringEquals": {"a:Key": "One"}}, {"a__key": "one"}, False),
        ({"StringEqualsIgnoreCase": {"a:Key": "One"}}, {"a__key": "one"}, True),
        ({"StringLike": {"a:Key": "O*"}}, {"a__key": "One"}, True),
        ({"StringEquals": {"a:Key": "O*"}}, {"a__key": "One"}, False),
        ({"StringEquals": {"a:Key": ["One", "Two"]}}, {"a__key": "Two"}, True),  # or
        ({"StringEquals": {"a:Key": "One", "a:Other": "Two"}}, {"a__key": "One"}, False),  # and
        ({"StringEquals": {"a:Key": "One"}}, {}, False),  # a key that is not there matches nothing
        ({"StringEqualsIfExists": {"a:Key": "One"}}, {}, True),
        ({"StringNotEquals": {"a:Key": "One"}}, {}, True),
        ({"Null": {"a:Key": "true"}}, {}, True),
        ({"Null": {"a:Key": "false"}}, {"a__key": "One"}, True),
        ({"Bool": {"a:Key": "true"}}, {"a__key": "false"}, False),
        ({"NumericLessThanEquals": {"a:Key": "10"}}, {"a__key": "10"}, True),
        ({"IpAddress": {"a:Key": "203.0.113.0/24"}}, {"a__key": "203.0.113.9"}, True),
        ({"IpAddress": {"a:Key": "203.0.113.0/24"}}, {"a__key": "198.51.100.9"}, False),
        (
            {"ArnEquals": {"a:Key": "arn:aws:sns:*:111122223333:topic"}},
            {"a__key": "arn:aws:sns:x:111122223333:topic"},
            True,
        ),
        ({"ForAllValues:StringEquals": {"a:Key": ["One", "Two"]}}, {"a__key": ["One"]}, True),
        ({"ForAllValues:StringEquals": {"a:Key": ["One", "Two"]}}, {"a__key": ["One", "Three"]}, False),
        ({"ForAllValues:StringEquals": {"a:Key": ["One"]}}, {}, True),
        ({"ForAnyValue:StringEquals": {"a:Key": ["One", "Two"]}}, {"a__key": ["Three", "Two"]}, True),
        ({"ForAnyValue:StringEquals": {"a:Key": ["One"]}}, {}, False),
    ],
)
def test_a_condition_holds_by_its_operator(condition: dict[str, Any], keys: dict[str, object], holds: bool) -> None:
    expected = "Allow" if holds else "ImplicitDeny"
    assert decision([ANY | {"Condition": condition}], context(**keys)) == expected


def test_a_boundary_takes_away_and_gives_nothing() -> None:
    assert decision([ANY], context(), [ANY | {"Action": "s3:*"}]) == "ImplicitDeny"
    assert decision([], context(), [ANY]) == "ImplicitDeny"
    assert decision([ANY], context(), [ANY | {"Action": "sqs:*"}]) == "Allow"


@pytest.mark.parametrize(
    ("principal", "service", "expected"),
    [
        ({"Service": "sns.amazonaws.com"}, "sns.amazonaws.com", "Allow"),
        ({"Service": "sns.amazonaws.com"}, "events.amazonaws.com", "ImplicitDeny"),
        ({"AWS": "arn:aws:iam::111122223333:root"}, "sns.amazonaws.com", "ImplicitDeny"),
        ("*", "sns.amazonaws.com", "Allow"),
    ],
)
def test_a_resources_policy_names_who_is_let_in(principal: object, service: str, expected: str) -> None:
    """reference_policies_elements_principal.html: a service is none of an account's identities."""
    asked = context()
    asked.principal_arn, asked.principal_type, asked.principal_account = "*", "Service", ""
    document = {"Statement": [ANY | {"Principal": principal}]}
    assert evaluate_resource_policy(document, asked, service=service).decision == expected
