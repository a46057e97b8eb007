"""What cdk-nag finds in what CDK Pipelines makes, and why each finding stays."""

from collections.abc import Mapping
from typing import cast

from aws_cdk import (
    Acknowledgment,
    CfnElement,
    Stack,
    Validations,
    pipelines,
)
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_s3 as s3
from constructs import IConstruct

# What runs the commands of this checkout, which need Python and make; Debian 12, as .ci/run expects it.
_NOT_LOGGED = Acknowledgment(id="AwsSolutions-S1", reason="Artifacts of builds, which the pipeline's own roles read")


def acknowledge(stack: Stack, made: pipelines.CodePipeline, boms: s3.IBucket) -> None:
    """Say of each finding in what CDK Pipelines makes why it stays."""
    artifacts = (
        *(f"Action::s3:{action}*" for action in ("Abort", "DeleteObject", "GetBucket", "GetObject", "List")),
        *(f"Action::kms:{action}*" for action in ("GenerateDataKey", "ReEncrypt")),
        f"Resource::<{_logical_id(stack, made.pipeline.artifact_bucket)}.Arn>/*",
    )
    wildcards = dict.fromkeys(artifacts, "The pipeline's artifacts, whose names CodePipeline makes up")
    for project in stack.node.find_all():
        if isinstance(project, codebuild.Project):
            name = f"<{_logical_id(stack, project)}>"
            wildcards[_log(stack, f"{name}:*")] = "The log that the CDK grants every project"
            wildcards[_reports(stack, f"{name}-*")] = "The project's own reports of tests"
    releases = made.node
    _acknowledge_wildcards(made, wildcards)
    for support in made.pipeline.cross_region_support.values():  # an environment in another region has its copies
        bucket = stack.resolve(support.replication_bucket.bucket_name)
        _acknowledge_wildcards(
            made.pipeline,
            {
                f"Resource::arn:{stack.partition}:s3:::{bucket}/*": "Artifacts, as in the pipeline's own region",
                "Resource::*": "The key of the artifacts there, which the CDK can only name by its alias",
            },
        )
        Validations.of(support.stack).acknowledge(_NOT_LOGGED)
    _acknowledge_wildcards(
        releases.find_child("Pipeline").node.find_child("Build").node.find_child("Image"),
        {
            "Resource::*": "ecr:GetAuthorizationToken knows no resources",
            f"Resource::<{_logical_id(stack, boms)}.Arn>/*.cdx.json": "One a commit",
        },
    )
    _acknowledge_wildcards(
        releases.find_child("UpdatePipeline"),
        {
            f"Resource::arn:*:iam::{stack.account}:role/*": "Only roles with the tag of the CDK's bootstrap",
            "Resource::*": "Reads the states of stacks, and whether the bootstrap's bucket is there",
        },
    )
    if assets := releases.try_find_child("Assets"):
        _acknowledge_wildcards(
            assets,
            {
                "Resource::*": "Reads what builds have done; starting them is denied",
                _log(stack, "*"): "One role for all that publish",
                _reports(stack, "*"): "One role for all that publish",
            },
        )
    Validations.of(made).acknowledge(
        Acknowledgment(
            id="AwsSolutions-CB5",
            reason="Python on Debian 12, for which the commands of this checkout are made: Docker's official image",
        ),
        _NOT_LOGGED,
    )


def _logical_id(stack: Stack, construct: IConstruct) -> str:
    return stack.get_logical_id(cast(CfnElement, construct.node.default_child))


def _log(stack: Stack, name: str) -> str:
    return f"Resource::arn:{stack.partition}:logs:{stack.region}:{stack.account}:log-group:/aws/codebuild/{name}"


def _reports(stack: Stack, name: str) -> str:
    return f"Resource::arn:{stack.partition}:codebuild:{stack.region}:{stack.account}:report-group/{name}"


def _acknowledge_wildcards(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    Validations.of(construct).acknowledge(
        *(Acknowledgment(id=f"AwsSolutions-IAM5[{what}]", reason=reason) for what, reason in reasons.items())
    )
