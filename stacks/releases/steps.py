"""The steps of a release: builds that run this checkout's own commands, and a person's approval."""

from collections.abc import Sequence
from typing import Any

from aws_cdk import (
    Acknowledgment,
    Aws,
    DefaultStackSynthesizer,
    Duration,
    RemovalPolicy,
    Stage,
    Validations,
    pipelines,
)
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

# What runs the commands of this checkout, which need Python and make; Debian 12, as .ci/run expects it.
PYTHON = "public.ecr.aws/docker/library/python:3.11-bookworm"
SETUP = (
    "make --no-print-directory .venv/.done node_modules/.done",
    'export PATH="$PWD/.venv/bin:$PWD/node_modules/.bin:$PATH"',
)
TEST_WORKERS = "4"  # each may run a whole gateway and a browser: 3 GiB for each on what has 15
CDK_ASSETS = "4.7.3"  # what publishes the files of the assembly; the CDK CLI's version is in package.json
# Variables of a check: `needed` or `none`, and the address of the log that says why.
CHECKS_APPROVAL, CHECKS_SUMMARY = "APPROVAL", "SUMMARY"
# Whose part of the bootstrap a step takes on, in the environment's account. Changing anything is the verification's
# alone, which may have to put the release before back.
CHECK_ROLES = ("lookup",)
VERIFY_ROLES = ("lookup", "deploy", "file-publishing")
ARTIFACT_DAYS = 90
_NOT_LOGGED = Acknowledgment(id="AwsSolutions-S1", reason="Artifacts of builds, which the pipeline's own roles read")


class Steps:
    """Makes the steps, in `scope`, from `source`, which `clones` permits to clone.

    `boms` is the bucket of the images' bills of materials.
    """

    def __init__(self, scope: Construct, source: pipelines.CodePipelineSource, *, clones: iam.PolicyStatement) -> None:
        self._scope = scope
        self._source = source
        self._clones = clones

    def synth(self, repository: ecr.IRepository) -> pipelines.CodeBuildStep:
        """The tests and the image beside them, and then one synthesis: the assembly of all environments."""
        test = self._python(
            "Test",
            commands=["bash .ci/run"],
            compute=codebuild.ComputeType.LARGE,
            timeout=Duration.minutes(90),
            env={"WORKERS": TEST_WORKERS},
        )
        image = self._image(repository)
        synth = self._python(
            "Synth",
            commands=[*SETUP, 'cdk synth --quiet --no-notices -c image="$IMAGE"'],
            compute=codebuild.ComputeType.MEDIUM,
            env={"IMAGE": image.exported_variable("IMAGE")},
            output="cdk.out",
        )
        synth.add_step_dependency(test)
        return synth

    def _image(self, repository: ecr.IRepository) -> pipelines.CodeBuildStep:
        """Build the image for the tasks' processor on that processor, once: another run of a commit finds it there.

        Its bill of materials (CycloneDX) is kept in the bucket `Boms`, under the commit, as the image is.
        """
        self.boms = s3.Bucket(
            self._scope,
            "Boms",
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            versioned=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        Validations.of(self.boms).acknowledge(
            Acknowledgment(id="AwsSolutions-S1", reason="Lists of public packages, which only this account can read")
        )
        return pipelines.CodeBuildStep(
            "Image",
            input=self._source,
            build_environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxArmBuildImage.AMAZON_LINUX_2023_STANDARD_3_0,
                compute_type=codebuild.ComputeType.MEDIUM,
                privileged=True,  # for the Docker daemon
            ),
            timeout=Duration.minutes(30),
            env={
                "REPOSITORY": repository.repository_uri,
                "BOMS": self.boms.s3_url_for_object(),
                "COMMIT": self._source.source_attribute("CommitId"),
            },
            commands=[
                'DIGEST=$(sh container/build-image.sh "$REPOSITORY" "$COMMIT" bom.cdx.json)',
                'aws s3 cp --only-show-errors bom.cdx.json "$BOMS/$COMMIT.cdx.json"',
                'export IMAGE="$REPOSITORY@$DIGEST"',
            ],
            role_policy_statements=[
                iam.PolicyStatement(actions=["ecr:GetAuthorizationToken"], resources=["*"]),
                iam.PolicyStatement(
                    actions=[
                        "ecr:BatchCheckLayerAvailability",
                        "ecr:BatchGetImage",
                        "ecr:CompleteLayerUpload",
                        "ecr:DescribeImages",
                        "ecr:GetDownloadUrlForLayer",
                        "ecr:InitiateLayerUpload",
                        "ecr:PutImage",
                        "ecr:UploadLayerPart",
                    ],
                    resources=[repository.repository_arn],
                ),
                iam.PolicyStatement(actions=["s3:PutObject"], resources=[self.boms.arn_for_objects("*.cdx.json")]),
                self._clones,
            ],
        )

    def _python(
        self,
        name: str,
        *,
        commands: Sequence[str],
        compute: codebuild.ComputeType = codebuild.ComputeType.SMALL,
        timeout: Duration | None = None,
        output: str | None = None,
        permissions: Sequence[iam.PolicyStatement] = (),
        **kwargs: Any,  # noqa: ANN401 - a step's own properties
    ) -> pipelines.CodeBuildStep:
        """A step that runs this checkout's own commands, and keeps the folder `output`."""
        return pipelines.CodeBuildStep(
            name,
            input=self._source,
            build_environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxBuildImage.from_docker_registry(PYTHON), compute_type=compute
            ),
            timeout=timeout or Duration.minutes(30),
            commands=list(commands),
            primary_output_directory=output,
            role_policy_statements=[*permissions, self._clones],
            **kwargs,
        )

    def check(
        self, stage: Stage, synth: pipelines.CodeBuildStep, asked: pipelines.CodeBuildStep | None = None
    ) -> pipelines.CodeBuildStep:
        """The check, which keeps what is deployed now in the folder `before`.

        After one that has `asked` for approval already, it refuses what needs approval and was not in that summary.
        """
        name = stage.stage_name
        sentence = f"{name}: something else was deployed since approval was asked for: release the change again"
        as_asked = (
            '[ "$(cat before/approval)" = none ] || cmp -s asked/summary.md before/summary.md || '
            f'{{ echo "{sentence}" >&2; exit 1; }}'
        )
        return self._python(
            "Check",
            additional_inputs={"cdk.out": synth} | ({"asked": asked} if asked else {}),
            commands=[
                *SETUP,
                f"python -m ops.release check --env {name} --app cdk.out --before before --assume-roles",
                *([as_asked] if asked else []),
                f'export {CHECKS_APPROVAL}="$(cat before/approval)"',
                f'export {CHECKS_SUMMARY}="$CODEBUILD_BUILD_URL"',
            ],
            output="before",
            permissions=[_may_assume(stage, CHECK_ROLES)],
        )

    def verify(self, stage: Stage, check: pipelines.CodeBuildStep) -> pipelines.CodeBuildStep:
        """The smoke test, after which the release before is put back if it failed: from the check's folder."""
        name = stage.stage_name
        return self._python(
            "Verify",
            additional_inputs={"before": check},
            commands=[*SETUP, f"python -m ops.release verify --env {name} --before before --assume-roles"],
            timeout=Duration.hours(3),  # a database that is put back takes its time
            permissions=[
                _may_assume(stage, VERIFY_ROLES),
                iam.PolicyStatement(
                    actions=["lambda:InvokeFunction"],
                    resources=[
                        f"arn:{Aws.PARTITION}:lambda:{stage.region}:{stage.account}:function:litellm-{name}-smoke"
                    ],
                ),
            ],
        )


class Approval(pipelines.ManualApprovalStep):
    """A person's approval, which says where the check's summary is. `needed` is the variable that says if it is."""

    def __init__(self, check: pipelines.CodeBuildStep) -> None:
        self.needed = check.exported_variable(CHECKS_APPROVAL)
        comment = (
            "What the release changes here, and why it needs approval, is in the check's log: "
            f"{check.exported_variable(CHECKS_SUMMARY)}"
        )
        super().__init__("Approve", comment=comment)
        # Steps of CodeBuild find the variables that they refer to by themselves; an approval has to be told.
        self._discover_referenced_outputs({"needed": self.needed, "comment": comment})


def use_of(connection_arn: str) -> iam.PolicyStatement:
    """Permits to read the repository by the connection, under the service's name in the connection's ARN.

    The CDK permits it by the name that the service had before; AWS asks for that of the ARN.
    """
    return iam.PolicyStatement(actions=["codeconnections:UseConnection"], resources=[connection_arn])


def _may_assume(stage: Stage, roles: Sequence[str]) -> iam.PolicyStatement:
    """Permits what `cdk bootstrap --trust` lets this account do in the environment's: these roles, no others."""
    qualifier = DefaultStackSynthesizer.DEFAULT_QUALIFIER
    return iam.PolicyStatement(
        actions=["sts:AssumeRole"],
        resources=[
            f"arn:{Aws.PARTITION}:iam::{stage.account}:role/cdk-{qualifier}-{role}-role-{stage.account}-{stage.region}"
            for role in roles
        ],
    )
