"""The pipeline: what takes a merged change to every environment, built once and unchanged from one to the next."""

import json
from collections.abc import Sequence
from typing import Any, cast

from aws_cdk import (
    Duration,
    RemovalPolicy,
    Stack,
    Stage,
    pipelines,
)
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codestarnotifications as notifications
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from stacks import CHECKOUT
from stacks.constructs.listeners import post_in_slack, topic_of
from stacks.releases.findings import acknowledge
from stacks.releases.steps import Approval, Steps, use_of
from stacks.settings import Releases

# What runs the commands of this checkout, which need Python and make; Debian 12, as .ci/run expects it.
CDK_ASSETS = "4.7.3"  # what publishes the files of the assembly; the CDK CLI's version is in package.json
ARTIFACT_DAYS = 90


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
        source = pipelines.CodePipelineSource.connection(
            releases.repository,
            releases.branch,
            connection_arn=releases.connection_arn,
            trigger_on_push=True,
            # The builds clone the repository: an archive, which is what they would get, has lost who may run a file.
            code_build_clone_output=True,
            action_name="Source",
        )
        self._steps = Steps(self, source, clones=use_of(releases.connection_arn))
        self._synth = self._steps.synth(repository)
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
        self.pipeline.role.add_to_principal_policy(use_of(releases.connection_arn))
        self._narrow_publishing()
        self._tell(releases)
        acknowledge(self, self._pipeline, self._steps.boms)

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
        check = self._steps.check(stage, self._synth)
        self._pipeline.add_stage(stage, pre=[check, Approval(check)], post=[self._steps.verify(stage, check)])

    def _promote(self, stage: Stage) -> dict[str, str]:
        """A check, an approval, and then the environment's stage.

        Returns the name of the approval's stage, and the variable that says whether it is needed.
        """
        asked = self._steps.check(stage, self._synth)
        approval = Approval(asked)
        self._pipeline.add_wave(f"{stage.stage_name}-check", pre=[asked])
        self._pipeline.add_wave(f"{stage.stage_name}-approval", pre=[approval])
        check = self._steps.check(stage, self._synth, asked)
        self._pipeline.add_stage(stage, pre=[check], post=[self._steps.verify(stage, check)])
        return {f"{stage.stage_name}-approval": approval.needed}

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


def _cdk_version() -> str:
    """The CDK CLI's, for the pipeline to change itself with: the one that synthesized it."""
    return str(json.loads((CHECKOUT / "package.json").read_text())["devDependencies"]["aws-cdk"])
