"""What the builds of a release do, decided by the policies that their roles, buckets and keys are deployed with.

No build runs on a developer's machine. What each does is written down here from AWS's pages and its own commands, and
the evaluator of the emulated AWS decides as it does there; what a role may do and no build needs has its reason.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from ministack.core.iam_evaluator import (  # type: ignore[import-untyped]
    EvalContext,
    combine_resource_policy,
    evaluate,
    fnmatch_iam,
    parse_policy_document,
)

from stacks.company import environments, promotion
from stacks.settings import Environment, Releases
from tests.templates.conftest import Template, only, resources
from tests.templates.synthesis import release, text

_PROMOTION = promotion()
assert _PROMOTION
FOUND: Releases = _PROMOTION
OWN = f"{FOUND.region}:{FOUND.account}"
ARTIFACTS, KEY, BOMS = (
    "<ReleasesPipelineArtifactsBucket.Arn>",
    "<ReleasesPipelineArtifactsBucketEncryptionKey.Arn>",
    "<Boms.Arn>",
)
PROMOTED = [environments()[name] for name in FOUND.environments]

Call = tuple[str, str]  # an action, and what it is done to

# https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html
EVERY_BUILD: list[Call] = [
    ("logs:CreateLogStream", "<Logs.Arn>"),
    ("logs:PutLogEvents", "<Logs.Arn>"),
    ("s3:GetObject", f"{ARTIFACTS}/litellm-gateway/x"),
    ("s3:GetObjectVersion", f"{ARTIFACTS}/litellm-gateway/x"),
    ("s3:GetBucketAcl", ARTIFACTS),
    ("s3:GetBucketLocation", ARTIFACTS),
    ("kms:Decrypt", KEY),
]
# SSE-KMS: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html (permissions)
KEEPS: list[Call] = [("s3:PutObject", f"{ARTIFACTS}/litellm-gateway/x"), ("kms:GenerateDataKey", KEY)]
# https://docs.aws.amazon.com/codepipeline/latest/userguide/troubleshooting.html (CODEBUILD_CLONE_REF)
CLONES: list[Call] = [("codeconnections:UseConnection", FOUND.connection_arn or "")]
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html, and pulling one that is there already
IMAGE: list[Call] = [
    ("ecr:GetAuthorizationToken", "*"),
    *(
        (f"ecr:{action}", "<repository>")
        for action in (
            "BatchCheckLayerAvailability",
            "BatchGetImage",
            "CompleteLayerUpload",
            "DescribeImages",
            "GetDownloadUrlForLayer",
            "InitiateLayerUpload",
            "PutImage",
            "UploadLayerPart",
        )
    ),
    ("s3:PutObject", f"{BOMS}/0a1b2c.cdx.json"),
]
# The CDK CLI, which deploys the pipeline by the bootstrap's roles of its own account.
CHANGES_ITSELF: list[Call] = [
    ("sts:AssumeRole", f"arn:aws:iam::{FOUND.account}:role/cdk-hnb659fds-{role}-role-{FOUND.account}-{FOUND.region}")
    for role in ("deploy", "file-publishing")
]
# What no build does, and why it is granted.
UNUSED = {
    "logs:CreateLogGroup": "The CDK grants every project its default log group, beside the one that it is told of",
    "codebuild:": "The CDK grants every project its reports of tests; starting builds is denied again",
    "s3:": "The CDK grants whole families of reading and of writing on the pipeline's artifacts",
    "kms:": "The CDK grants encrypting and decrypting as a whole",
    "codestar-connections:": "The service's name in the ARNs of older connections",
    "cloudformation:DescribeStacks": "The CDK CLI looks for the bootstrap's stack where a role may not",
}


def _bootstrap(environment: Environment, *roles: str) -> list[Call]:
    account, region = environment.account, environment.region
    return [
        ("sts:AssumeRole", f"arn:aws:iam::{account}:role/cdk-hnb659fds-{role}-role-{account}-{region}")
        for role in roles
    ]


def _verifies(environment: Environment) -> list[Call]:
    function = f"arn:aws:lambda:{environment.region}:{environment.account}:function:litellm-{environment.name}-smoke"
    return [*_bootstrap(environment, "lookup", "deploy", "file-publishing"), ("lambda:InvokeFunction", function)]


def _needs() -> dict[str, list[Call]]:
    """What each build does, by its action's name and stage."""
    found = {
        "Build/Test": CLONES,
        "Build/Image": [*CLONES, *IMAGE],
        "Build/Synth": [*CLONES, *KEEPS],
        "UpdatePipeline/SelfMutate": CHANGES_ITSELF,
        "Assets/FileAssets": [call for each in PROMOTED for call in _bootstrap(each, "file-publishing")],
    }
    for each in PROMOTED:
        looks = [*CLONES, *KEEPS, *_bootstrap(each, "lookup")]
        found[f"{each.name}/Check"] = looks
        found[f"{each.name}/Verify"] = [*CLONES, *_verifies(each)]
        if each.name not in FOUND.approved:
            found[f"{each.name}-check/Check"] = looks
    return {name: [*EVERY_BUILD, *calls] for name, calls in found.items()}


NEEDS = _needs()


@cache
def _template() -> Template:
    found: Template = release().get_stack_by_name("litellm-pipeline").template
    return found


def _builds() -> dict[str, Any]:
    """The projects of the pipeline's actions, by stage and action."""
    projects = resources(_template(), "AWS::CodeBuild::Project")
    return {
        f"{stage['Name']}/{action['Name']}": projects[action["Configuration"]["ProjectName"]["Ref"]]
        for stage in only(_template(), "AWS::CodePipeline::Pipeline")["Stages"]
        for action in stage["Actions"]
        if action["ActionTypeId"]["Provider"] == "CodeBuild"
    }


def _resolved(value: Any) -> Any:  # noqa: ANN401 - a template is JSON
    """A policy with its references in words, as `text` writes them."""
    if isinstance(value, dict) and any(name == "Ref" or name.startswith("Fn::") for name in value):
        words = text(value).replace("<AWS::Partition>", "aws").replace("${AWS::Partition}", "aws")
        return "<repository>" if "litellm-image:" in words else words
    if isinstance(value, dict):
        return {name: _resolved(each) for name, each in value.items()}
    return [_resolved(each) for each in value] if isinstance(value, list) else value


def _policies(build: Any) -> list[Any]:  # noqa: ANN401 - a template is JSON
    role = build["ServiceRole"]["Fn::GetAtt"][0]
    return [
        _resolved(policy["PolicyDocument"])
        for policy in resources(_template(), "AWS::IAM::Policy").values()
        if {"Ref": role} in policy["Roles"]
    ]


def _resource_policy(resource: str) -> Any:  # noqa: ANN401 - a template is JSON
    """The policy of the bucket or the key that is acted on."""
    if resource == KEY:
        return _resolved(only(_template(), "AWS::KMS::Key")["KeyPolicy"])
    for policy in resources(_template(), "AWS::S3::BucketPolicy").values():
        if resource.startswith(text(policy["Bucket"]).removesuffix(">") + ".Arn>"):
            return _resolved(policy["PolicyDocument"])
    return None


def _decision(build: str, action: str, resource: str, *, secure: bool = True) -> str:
    asked = EvalContext(
        principal_arn=f"arn:aws:sts::{FOUND.account}:assumed-role/build/session",
        principal_type="AssumedRole",
        principal_account=FOUND.account,
        action=action,
        resource_arn=resource,
        region=FOUND.region,
        secure_transport=secure,
        service_context=_tag(resource),
    )
    decision = evaluate(asked, [parse_policy_document(policy) for policy in _policies(_builds()[build])])
    policy = _resource_policy(resource)
    if policy is not None:
        required = action.startswith("kms:")
        decision = combine_resource_policy(decision, asked, json.dumps(policy), FOUND.account, required=required)
    return str(decision.decision)


def _tag(resource: str) -> dict[str, str]:
    """The tag that the bootstrap puts on a role of its own, as a condition key."""
    roles = ("deploy", "file-publishing", "image-publishing", "lookup")
    role = next((role for role in roles if f"-{role}-role-" in resource), "")
    return {"iam:resourcetag/aws-cdk:bootstrap-role": role} if role else {}


def test_every_build_is_written_down() -> None:
    assert set(NEEDS) == set(_builds())


@pytest.mark.parametrize(("build", "action", "resource"), [(name, *call) for name in NEEDS for call in NEEDS[name]])
def test_may_do_what_it_does(build: str, action: str, resource: str) -> None:
    assert _decision(build, action, resource) == "Allow"


@pytest.mark.parametrize("build", NEEDS)
def test_may_not_do_what_another_does(build: str) -> None:
    """What any other build does, and this one does not: it is refused, but for what is granted with a reason."""
    others = {call for name in NEEDS for call in NEEDS[name]} - set(NEEDS[build])
    allowed = {action for action, resource in others if _decision(build, action, resource) == "Allow"}
    assert {action for action in allowed if not _has_reason(action)} == set()


@pytest.mark.parametrize("build", NEEDS)
def test_may_do_nothing_else_without_a_reason(build: str) -> None:
    granted = {
        action
        for policy in _policies(_builds()[build])
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow"
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    needed = [action for action, _ in NEEDS[build]]
    idle = {action for action in granted if not any(fnmatch_iam(each, action) for each in needed)}
    assert {action for action in idle if not _has_reason(action)} == set()


def _has_reason(action: str) -> bool:
    return any(action.startswith(start) for start in UNUSED)


def test_a_bucket_is_reached_by_tls_only() -> None:
    assert _decision("Build/Image", "s3:PutObject", f"{BOMS}/0a1b2c.cdx.json", secure=False) == "Deny"
    assert _decision("Build/Synth", "s3:PutObject", f"{ARTIFACTS}/litellm-gateway/x", secure=False) == "Deny"


@pytest.mark.parametrize(
    ("build", "action", "resource"),
    [
        ("Build/Image", "s3:PutObject", f"{BOMS}/0a1b2c.txt"),
        ("Build/Image", "s3:DeleteObject", f"{BOMS}/0a1b2c.cdx.json"),
        ("Build/Image", "ecr:BatchDeleteImage", "<repository>"),
        ("Build/Test", "codeconnections:UseConnection", f"arn:aws:codeconnections:{OWN}:connection/another"),
        ("UpdatePipeline/SelfMutate", "sts:AssumeRole", f"arn:aws:iam::{FOUND.account}:role/Administrator"),
        ("Assets/FileAssets", "codebuild:StartBuild", f"arn:aws:codebuild:{OWN}:project/any"),
    ],
    ids=str,
)
def test_a_neighbour_is_refused(build: str, action: str, resource: str) -> None:
    assert _decision(build, action, resource) in ("Deny", "ImplicitDeny")
