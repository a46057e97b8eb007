"""The pipeline: what takes a merged change to every environment, built once and unchanged from one to the next."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from aws_cdk import (
    Acknowledgment,
    Aws,
    CfnElement,
    DefaultStackSynthesizer,
    Duration,
    RemovalPolicy,
    Stack,
    Stage,
    Validations,
    pipelines,
)
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codestarnotifications as notifications
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct, IConstruct

from stacks.listeners import post_in_slack, topic_of
from stacks.settings import Releases

CHECKOUT = Path(__file__).parent.parent
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


class PipelineStack(Stack):
    """CodePipeline (V2) for releases: CDK Pipelines, which keeps its own definition up to date.

    1. *Build*: the tests (`.ci/run`) and, on ARM, the image (`container/build-image.sh`) beside them; then one
       synthesis of every environment, with the image by its digest. That assembly is what all environments get.
    2. *UpdatePipeline*: this stack and the image's, from the assembly; a pipeline that has changed starts anew.
    3. *Assets*: the functions' packages, to every environment's account.
    4. For each environment of `releases.environments`, in their order: the check (`ops.release check`: the secrets, the
       change summary, what is deployed now), a person's approval, CloudFormation's change sets, and the smoke test
       (`ops.release verify`), which puts the release before back when it fails.

    An environment of `releases.approved` is one stage, approval included. So nothing else can reach it between what was
    approved and its deployment: a later release waits before the stage, and is checked after it. Elsewhere a person is
    asked only if the check says so. CodePipeline decides that at the entry of a stage, so check and approval are stages
    before the environment's own, which checks once more: what is put back must be what was there, and what needs
    approval must be what was approved.

    **The first deployment** is `cdk deploy Image Pipeline`, by a person and without an image, since there is none yet.
    Without `-c image=…` the app gives no `stages`, and the pipeline ends after *UpdatePipeline*: there it adds the
    environments to itself, from the assembly that it has built, and starts anew. Deploying it so again does no harm.

    Who listens (`releases.emails`, `.channel`) hears of executions that failed or succeeded, stages that failed, and
    approvals that are waited for.

    What must be there: the connection, confirmed in the console; each environment's account bootstrapped with
    `--trust` of this one (and `--cloudformation-execution-policies`).
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        releases: Releases,
        repository: ecr.IRepository,
        stages: Sequence[Stage],
        **kwargs: Any,  # noqa: ANN401 - a stack's own properties
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
        if not releases.connection_arn:
            raise ValueError("a pipeline needs releases.connection_arn")
        self._source = pipelines.CodePipelineSource.connection(
            releases.repository,
            releases.branch,
            connection_arn=releases.connection_arn,
            trigger_on_push=True,
            action_name="Source",
        )
        self._synth = self._build(repository)
        self._pipeline = self._make()
        conditions: dict[str, str] = {}  # of stages: the variable that has to be `needed`
        for stage in stages:
            if stage.stage_name in releases.approved:
                self._promote_approved(stage)
            else:
                conditions |= self._promote(stage)
        self._pipeline.build_pipeline()
        self.pipeline = self._pipeline.pipeline
        for name, variable in conditions.items():
            self._enter_if(name, variable, "needed")
        self._expire_artifacts()
        self._permit_connection(releases.connection_arn)
        self._narrow_publishing()
        self._tell(releases)
        self._acknowledge()

    # --- Build ---

    def _build(self, repository: ecr.IRepository) -> pipelines.CodeBuildStep:
        test = self._python_step(
            "Test",
            commands=["bash .ci/run"],
            compute=codebuild.ComputeType.LARGE,
            timeout=Duration.minutes(90),
            env={"WORKERS": TEST_WORKERS},
        )
        image = self._image(repository)
        synth = self._python_step(
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
        self._boms = s3.Bucket(
            self,
            "Boms",
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            versioned=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        Validations.of(self._boms).acknowledge(
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
                "BOMS": self._boms.s3_url_for_object(),
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
                iam.PolicyStatement(actions=["s3:PutObject"], resources=[self._boms.arn_for_objects("*.cdx.json")]),
            ],
        )

    def _python_step(
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
            role_policy_statements=list(permissions),
            **kwargs,
        )

    # --- The pipeline itself ---

    def _make(self) -> pipelines.CodePipeline:
        on_arm = codebuild.BuildEnvironment(build_image=codebuild.LinuxArmBuildImage.AMAZON_LINUX_2023_STANDARD_3_0)
        with_node = pipelines.CodeBuildOptions(
            build_environment=on_arm,
            partial_build_spec=codebuild.BuildSpec.from_object(
                {"version": "0.2", "phases": {"install": {"runtime-versions": {"nodejs": "22"}}}}
            ),
        )
        log = logs.LogGroup(self, "Logs", retention=logs.RetentionDays.ONE_YEAR, removal_policy=RemovalPolicy.DESTROY)
        return pipelines.CodePipeline(
            self,
            "Releases",
            pipeline_name="litellm-gateway",
            pipeline_type=codepipeline.PipelineType.V2,
            execution_mode=codepipeline.ExecutionMode.SUPERSEDED,
            synth=self._synth,
            cross_account_keys=True,
            enable_key_rotation=True,
            cli_version=_cdk_version(),
            cdk_assets_cli_version=CDK_ASSETS,
            # One build publishes all files: else each package's hash would be a part of the pipeline, and change it.
            publish_assets_in_parallel=False,
            use_pipeline_role_for_actions=True,
            code_build_defaults=pipelines.CodeBuildOptions(
                logging=codebuild.LoggingOptions(cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=log))
            ),
            self_mutation_code_build_defaults=with_node,
            asset_publishing_code_build_defaults=with_node,
        )

    def _enter_if(self, name: str, variable: str, value: str) -> None:
        """Skip the stage unless the variable has the value. CDK Pipelines has no words for it."""
        index = [stage.stage_name for stage in self.pipeline.stages].index(name)
        rule = {
            "Name": "ApprovalNeeded",
            "RuleTypeId": {"Category": "Rule", "Owner": "AWS", "Provider": "VariableCheck", "Version": "1"},
            "Configuration": {"Variable": variable, "Operator": "EQ", "Value": value},
        }
        resource = cast(codepipeline.CfnPipeline, self.pipeline.node.default_child)
        resource.add_property_override(
            f"Stages.{index}.BeforeEntry",
            {"Conditions": [{"Result": "SKIP", "Rules": [rule]}]},
        )

    def _expire_artifacts(self) -> None:
        bucket = cast(s3.Bucket, self.pipeline.artifact_bucket)
        bucket.add_lifecycle_rule(expiration=Duration.days(ARTIFACT_DAYS))

    def _permit_connection(self, arn: str) -> None:
        """By the service's new name too: the CDK permits it by the old one, and AWS asks for that of the ARN."""
        self.pipeline.role.add_to_principal_policy(
            iam.PolicyStatement(actions=["codeconnections:UseConnection"], resources=[arn])
        )

    def _narrow_publishing(self) -> None:
        """Take from who publishes files what CDK Pipelines gives it besides: starting any build, with any role's."""
        if assets := self._pipeline.node.try_find_child("Assets"):
            cast(iam.Role, assets.node.find_child("FileRole")).add_to_principal_policy(
                iam.PolicyStatement(
                    effect=iam.Effect.DENY, actions=["codebuild:StartBuild", "codebuild:StopBuild"], resources=["*"]
                )
            )

    # --- An environment ---

    def _promote_approved(self, stage: Stage) -> None:
        """One stage, whose deployment a person always approves."""
        check = self._check(stage)
        self._pipeline.add_stage(stage, pre=[check, _Approval(check)], post=[self._verify(stage, check)])

    def _promote(self, stage: Stage) -> dict[str, str]:
        """A check, an approval, and then the environment's stage.

        Returns the name of the approval's stage, and the variable that says whether it is needed.
        """
        asked = self._check(stage)
        approval = _Approval(asked)
        self._pipeline.add_wave(f"{stage.stage_name}-check", pre=[asked])
        self._pipeline.add_wave(f"{stage.stage_name}-approval", pre=[approval])
        check = self._check(stage, asked)
        self._pipeline.add_stage(stage, pre=[check], post=[self._verify(stage, check)])
        return {f"{stage.stage_name}-approval": approval.needed}

    def _check(self, stage: Stage, asked: pipelines.CodeBuildStep | None = None) -> pipelines.CodeBuildStep:
        """The check, which keeps what is deployed now in the folder `before`.

        After one that has `asked` for approval already, it refuses what needs approval and was not in that summary.
        """
        name = stage.stage_name
        sentence = f"{name}: something else was deployed since approval was asked for: release the change again"
        as_asked = (
            '[ "$(cat before/approval)" = none ] || cmp -s asked/summary.md before/summary.md || '
            f'{{ echo "{sentence}" >&2; exit 1; }}'
        )
        return self._python_step(
            "Check",
            additional_inputs={"cdk.out": self._synth} | ({"asked": asked} if asked else {}),
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

    def _verify(self, stage: Stage, check: pipelines.CodeBuildStep) -> pipelines.CodeBuildStep:
        """The smoke test, after which the release before is put back if it failed: from the check's folder."""
        name = stage.stage_name
        return self._python_step(
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

    # --- Telling ---

    def _tell(self, releases: Releases) -> None:
        topic = topic_of(self, releases, display_name="LLM gateway releases")
        self.pipeline.notify_on(
            "Notices",
            topic,
            notification_rule_name="litellm-gateway-releases",
            detail_type=notifications.DetailType.FULL,
            events=[
                codepipeline.PipelineNotificationEvents.PIPELINE_EXECUTION_FAILED,
                codepipeline.PipelineNotificationEvents.PIPELINE_EXECUTION_SUCCEEDED,
                codepipeline.PipelineNotificationEvents.STAGE_EXECUTION_FAILED,
                codepipeline.PipelineNotificationEvents.MANUAL_APPROVAL_NEEDED,
            ],
        )
        post_in_slack(
            self,
            releases,
            topic=topic,
            name="litellm-releases",
            subject="releases",
            shows="the pipeline and its executions",
            may_look=iam.PolicyStatement(
                actions=[
                    "codepipeline:GetPipelineExecution",
                    "codepipeline:GetPipelineState",
                    "codepipeline:ListActionExecutions",
                    "codepipeline:ListPipelineExecutions",
                ],
                resources=[self.pipeline.pipeline_arn],
            ),
        )

    # --- What cdk-nag finds in what CDK Pipelines makes ---

    def _acknowledge(self) -> None:
        artifacts = (
            *(f"Action::s3:{action}*" for action in ("Abort", "DeleteObject", "GetBucket", "GetObject", "List")),
            *(f"Action::kms:{action}*" for action in ("GenerateDataKey", "ReEncrypt")),
            f"Resource::<{self._logical_id(self.pipeline.artifact_bucket)}.Arn>/*",
        )
        wildcards = dict.fromkeys(artifacts, "The pipeline's artifacts, whose names CodePipeline makes up")
        for project in self.node.find_all():
            if isinstance(project, codebuild.Project):
                name = f"<{self._logical_id(project)}>"
                wildcards[self._log(f"{name}:*")] = "The log that the CDK grants every project"
                wildcards[self._reports(f"{name}-*")] = "The project's own reports of tests"
        releases = self._pipeline.node
        _acknowledge_wildcards(self._pipeline, wildcards)
        for support in self.pipeline.cross_region_support.values():  # an environment in another region has its copies
            bucket = self.resolve(support.replication_bucket.bucket_name)
            _acknowledge_wildcards(
                self.pipeline,
                {
                    f"Resource::arn:{self.partition}:s3:::{bucket}/*": "Artifacts, as in the pipeline's own region",
                    "Resource::*": "The key of the artifacts there, which the CDK can only name by its alias",
                },
            )
            Validations.of(support.stack).acknowledge(_NOT_LOGGED)
        _acknowledge_wildcards(
            releases.find_child("Pipeline").node.find_child("Build").node.find_child("Image"),
            {
                "Resource::*": "ecr:GetAuthorizationToken knows no resources",
                f"Resource::<{self._logical_id(self._boms)}.Arn>/*.cdx.json": "One a commit",
            },
        )
        _acknowledge_wildcards(
            releases.find_child("UpdatePipeline"),
            {
                f"Resource::arn:*:iam::{self.account}:role/*": "Only roles with the tag of the CDK's bootstrap",
                "Resource::*": "Reads the states of stacks, and whether the bootstrap's bucket is there",
            },
        )
        if assets := releases.try_find_child("Assets"):
            _acknowledge_wildcards(
                assets,
                {
                    "Resource::*": "Reads what builds have done; starting them is denied",
                    self._log("*"): "One role for all that publish",
                    self._reports("*"): "One role for all that publish",
                },
            )
        Validations.of(self._pipeline).acknowledge(
            Acknowledgment(
                id="AwsSolutions-CB5",
                reason="Python on Debian 12, for which the commands of this checkout are made: Docker's official image",
            ),
            _NOT_LOGGED,
        )

    def _logical_id(self, construct: IConstruct) -> str:
        return self.get_logical_id(cast(CfnElement, construct.node.default_child))

    def _log(self, name: str) -> str:
        return f"Resource::arn:{self.partition}:logs:{self.region}:{self.account}:log-group:/aws/codebuild/{name}"

    def _reports(self, name: str) -> str:
        return f"Resource::arn:{self.partition}:codebuild:{self.region}:{self.account}:report-group/{name}"


class _Approval(pipelines.ManualApprovalStep):
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


def _cdk_version() -> str:
    """The CDK CLI's, for the pipeline to change itself with: the one that synthesized it."""
    return str(json.loads((CHECKOUT / "package.json").read_text())["devDependencies"]["aws-cdk"])


def _acknowledge_wildcards(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    Validations.of(construct).acknowledge(
        *(Acknowledgment(id=f"AwsSolutions-IAM5[{what}]", reason=reason) for what, reason in reasons.items())
    )
