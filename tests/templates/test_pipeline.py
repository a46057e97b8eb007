"""The pipeline: what comes before what, what each environment waits for, and what each step may do."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Annotations, Match

import app
from stacks.company import company, environments, promotion
from stacks.releases.image import ImageStack
from stacks.releases.pipeline import PipelineStack
from stacks.settings import Environment, Releases
from tests.templates.conftest import CHECKOUT, WITHOUT_BUNDLING, Template, only, resources, statements
from tests.templates.synthesis import plain, release, text

FOUND = promotion()
assert FOUND
RELEASES: Releases = FOUND
PROMOTED = [environments()[name] for name in RELEASES.environments]
UNAPPROVED = [environment for environment in PROMOTED if environment.name not in RELEASES.approved]
APPROVED = [environment for environment in PROMOTED if environment.name in RELEASES.approved]
by_name = lambda environment: environment.name  # noqa: E731 - a name for parameters
in_every_environment = pytest.mark.parametrize("environment", PROMOTED, ids=by_name)

# Everything that is granted on more than named resources, and why that is the least.
WILDCARDS = {
    ("Image", "ecr:GetAuthorizationToken", "*"),  # knows no resources
    ("SelfMutation", "cloudformation:DescribeStacks", "*"),  # the CDK's own; only reads
    ("SelfMutation", "s3:ListBucket", "*"),
    ("SelfMutation", "sts:AssumeRole", "arn:*:iam::444444444444:role/*"),  # only the bootstrap's, by their tag
    ("Assets", "codebuild:BatchGetBuilds", "*"),
    ("Assets", "codebuild:StartBuild", "*"),  # denied by another statement
    ("Assets", "codebuild:StopBuild", "*"),
}


@pytest.fixture(scope="module")
def template() -> Template:
    return _template(release())


def _template(assembly: Any) -> Template:  # noqa: ANN401 - jsii's
    found: Template = assembly.get_stack_by_name("litellm-pipeline").template
    return found


@pytest.fixture(scope="module")
def stages(template: Template) -> dict[str, dict[str, Any]]:
    """The pipeline's stages by name, in their order."""
    return {stage["Name"]: stage for stage in only(template, "AWS::CodePipeline::Pipeline")["Stages"]}


def _actions(stage: dict[str, Any]) -> list[set[str]]:
    """What runs at once, one after the other: `Check`, `Approve`, names of stacks (deployed), …"""
    names: dict[int, set[str]] = {}
    for action in stage["Actions"]:
        if not action["Name"].endswith(".Prepare"):
            names.setdefault(action["RunOrder"], set()).add(action["Name"].removesuffix(".Deploy"))
    return [names[order] for order in sorted(names)]


def _action(stage: dict[str, Any], name: str) -> Any:  # noqa: ANN401 - a template is JSON
    (found,) = (action for action in stage["Actions"] if action["Name"] == name)
    return found


def _project(template: Template, stage: dict[str, Any], name: str) -> Any:  # noqa: ANN401 - a template is JSON
    return resources(template, "AWS::CodeBuild::Project")[_action(stage, name)["Configuration"]["ProjectName"]["Ref"]]


def _commands(template: Template, stage: dict[str, Any], name: str) -> list[str]:
    specification = json.loads(text(_project(template, stage, name)["Source"]["BuildSpec"]))
    commands: list[str] = specification["phases"]["build"]["commands"]
    return commands


def _variables(stage: dict[str, Any], name: str) -> dict[str, str]:
    """The variables of an action that come from other actions."""
    found = json.loads(_action(stage, name)["Configuration"]["EnvironmentVariables"])
    return {each["name"]: each["value"] for each in found if not each["name"].startswith("_")}


def _inputs(stage: dict[str, Any], name: str) -> list[str]:
    return [artifact["Name"] for artifact in _action(stage, name)["InputArtifacts"]]


def _outputs(stage: dict[str, Any], name: str) -> list[str]:
    return [artifact["Name"] for artifact in _action(stage, name)["OutputArtifacts"]]


def _role_of(template: Template, project: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - a template is JSON
    """The statements of a project's role."""
    role = project["ServiceRole"]["Fn::GetAtt"][0]
    return [
        statement
        for policy in resources(template, "AWS::IAM::Policy").values()
        if {"Ref": role} in policy["Roles"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def _list(value: Any) -> list[Any]:  # noqa: ANN401 - a template is JSON
    return value if isinstance(value, list) else [value]


def _granted(found: list[dict[str, Any]], action: str) -> list[str]:
    """The resources on which the statements grant the action."""
    return sorted(
        text(resource)
        for statement in found
        if action in _list(statement["Action"]) and statement["Effect"] == "Allow"
        for resource in _list(statement["Resource"])
    )


def _bootstrap(environment: Environment, *roles: str) -> list[str]:
    account, region = environment.account, environment.region
    return [f"arn:<AWS::Partition>:iam::{account}:role/cdk-hnb659fds-{role}-role-{account}-{region}" for role in roles]


# --- What comes before what ---


def test_the_pipeline_is_of_type_v2(template: Template) -> None:
    pipeline = only(template, "AWS::CodePipeline::Pipeline")
    assert (pipeline["PipelineType"], pipeline["ExecutionMode"]) == ("V2", "SUPERSEDED")
    assert pipeline["RestartExecutionOnUpdate"] is True


def test_stages_in_their_order(stages: dict[str, Any]) -> None:
    assert list(stages) == [
        "Source",
        "Build",
        "UpdatePipeline",
        "Assets",
        *("dev-check", "dev-approval", "dev"),
        *("stg-check", "stg-approval", "stg"),
        "prod",
    ]


def test_a_push_to_the_branch_starts_it(stages: dict[str, Any]) -> None:
    configuration = _action(stages["Source"], "Source")["Configuration"]
    assert configuration == {
        "ConnectionArn": RELEASES.connection_arn,
        "FullRepositoryId": RELEASES.repository,
        "BranchName": RELEASES.branch,
        "DetectChanges": True,
        # What is cloned has .git, and files that can be run; an archive of CodePipeline's has neither.
        "OutputArtifactFormat": "CODEBUILD_CLONE_REF",
    }


def test_only_builds_take_what_is_cloned(stages: dict[str, Any]) -> None:
    """CodePipeline refuses it to any other action."""
    (source,) = _outputs(stages["Source"], "Source")
    takes = {
        action["ActionTypeId"]["Provider"]
        for stage in stages.values()
        for action in stage["Actions"]
        if source in [artifact["Name"] for artifact in action.get("InputArtifacts", [])]
    }
    assert takes == {"CodeBuild"}


def test_tests_and_image_before_the_one_synthesis_before_anything_is_deployed(
    template: Template, stages: dict[str, Any]
) -> None:
    assert _actions(stages["Build"]) == [{"Test", "Image"}, {"Synth"}]
    assert _commands(template, stages["Build"], "Test") == ["bash .ci/run"]
    (assembly,) = _outputs(stages["Build"], "Synth")
    for name, stage in stages.items():
        for action in stage["Actions"]:
            if name in (*RELEASES.environments, "Assets", "UpdatePipeline") and action["Name"].endswith(
                (".Prepare", "FileAssets", "SelfMutate")
            ):
                assert [each["Name"] for each in action["InputArtifacts"]] == [assembly]
    synthesized = [name for name in stages for line in _lines(template, stages[name]) if "cdk synth" in line]
    assert synthesized == ["Build"]


def _lines(template: Template, stage: dict[str, Any]) -> Iterator[str]:
    for action in stage["Actions"]:
        if action["ActionTypeId"]["Provider"] == "CodeBuild" and action["Name"] not in ("SelfMutate", "FileAssets"):
            yield from _commands(template, stage, action["Name"])


def test_the_image_is_handed_to_the_synthesis_by_its_digest(template: Template, stages: dict[str, Any]) -> None:
    build = stages["Build"]
    image = _action(build, "Image")
    assert _variables(build, "Image") == {"COMMIT": f"#{{{_action(stages['Source'], 'Source')['Namespace']}.CommitId}}"}
    assert _commands(template, build, "Image") == [
        'DIGEST=$(sh container/build-image.sh "$REPOSITORY" "$COMMIT" bom.cdx.json)',
        'aws s3 cp --only-show-errors bom.cdx.json "$BOMS/$COMMIT.cdx.json"',
        'export IMAGE="$REPOSITORY@$DIGEST"',
    ]
    assert json.loads(text(_project(template, build, "Image")["Source"]["BuildSpec"]))["env"] == {
        "exported-variables": ["IMAGE"]
    }
    assert _variables(build, "Synth") == {"IMAGE": f"#{{{image['Namespace']}.IMAGE}}"}
    assert 'cdk synth --quiet --no-notices -c image="$IMAGE"' in _commands(template, build, "Synth")


def test_the_image_is_built_on_arm_as_the_tasks_are(template: Template, stages: dict[str, Any]) -> None:
    environment = _project(template, stages["Build"], "Image")["Environment"]
    assert (environment["Type"], environment["PrivilegedMode"]) == ("ARM_CONTAINER", True)
    assert environment["Image"].startswith("aws/codebuild/amazonlinux-aarch64-standard:")
    # Nothing else runs a Docker daemon.
    privileged = [
        each
        for each in resources(template, "AWS::CodeBuild::Project").values()
        if each["Environment"].get("PrivilegedMode")
    ]
    assert len(privileged) == 1


@pytest.mark.parametrize("environment", UNAPPROVED, ids=by_name)
def test_approval_where_the_check_asks_for_it(stages: dict[str, Any], environment: Environment) -> None:
    name = environment.name
    assert _actions(stages[f"{name}-check"]) == [{"Check"}]
    assert _actions(stages[f"{name}-approval"]) == [{"Approve"}]
    namespace = _action(stages[f"{name}-check"], "Check")["Namespace"]
    assert stages[f"{name}-approval"]["BeforeEntry"] == {
        "Conditions": [
            {
                "Result": "SKIP",
                "Rules": [
                    {
                        "Name": "ApprovalNeeded",
                        "RuleTypeId": {"Category": "Rule", "Owner": "AWS", "Provider": "VariableCheck", "Version": "1"},
                        "Configuration": {
                            "Variable": f"#{{{namespace}.APPROVAL}}",
                            "Operator": "EQ",
                            "Value": "needed",
                        },
                    }
                ],
            }
        ]
    }
    assert f"#{{{namespace}.SUMMARY}}" in _action(stages[f"{name}-approval"], "Approve")["Configuration"]["CustomData"]


@pytest.mark.parametrize("environment", APPROVED, ids=by_name)
def test_approval_always_and_within_the_stage_that_it_is_of(stages: dict[str, Any], environment: Environment) -> None:
    """A stage holds one execution at a time: nothing is deployed between the check, the approval and the changes."""
    stage = stages[environment.name]
    assert _actions(stage)[:2] == [{"Check"}, {"Approve"}]
    approve = _action(stage, "Approve")
    assert approve["ActionTypeId"]["Category"] == "Approval"
    assert f"#{{{_action(stage, 'Check')['Namespace']}.SUMMARY}}" in approve["Configuration"]["CustomData"]
    assert all(
        action["RunOrder"] > approve["RunOrder"] for action in stage["Actions"] if action["Name"].startswith("litellm-")
    )


def test_nothing_else_is_conditional(stages: dict[str, Any]) -> None:
    assert {name for name, stage in stages.items() if "BeforeEntry" in stage} == {
        f"{environment.name}-approval" for environment in UNAPPROVED
    }
    assert UNAPPROVED
    assert APPROVED


@in_every_environment
def test_check_then_stacks_then_verification(stages: dict[str, Any], environment: Environment) -> None:
    actions = _actions(stages[environment.name])
    assert actions[0] == {"Check"}
    assert actions[-1] == {"Verify"}
    deployed = [name for names in actions for name in names if name.startswith("litellm-")]
    assembly = release().get_nested_assembly(f"assembly-{environment.name}")
    assert sorted(deployed) == sorted(stack.stack_name for stack in assembly.stacks)
    order = {name: index for index, names in enumerate(actions) for name in names}
    for one, other in (("network", "database"), ("database", "gateway"), ("gateway", "observability")):
        assert order[f"litellm-{environment.name}-{one}"] < order[f"litellm-{environment.name}-{other}"]


@in_every_environment
def test_what_is_put_back_is_what_the_stages_own_check_saw(
    template: Template, stages: dict[str, Any], environment: Environment
) -> None:
    name, stage = environment.name, stages[environment.name]
    (source,) = _outputs(stages["Source"], "Source")
    (assembly,) = _outputs(stages["Build"], "Synth")
    (before,) = _outputs(stage, "Check")
    assert _inputs(stage, "Check")[:2] == [source, assembly]
    assert _inputs(stage, "Verify") == [source, before]
    check = f"python -m ops.release check --env {name} --app cdk.out --before before --assume-roles"
    verify = f"python -m ops.release verify --env {name} --before before --assume-roles"
    assert check in _commands(template, stage, "Check")
    assert _commands(template, stage, "Verify")[-1] == verify


@pytest.mark.parametrize("environment", UNAPPROVED, ids=by_name)
def test_what_needs_approval_is_what_was_approved(
    template: Template, stages: dict[str, Any], environment: Environment
) -> None:
    """Between the stage of the check and the environment's another release may have been deployed."""
    name = environment.name
    (asked,) = _outputs(stages[f"{name}-check"], "Check")
    assert _inputs(stages[name], "Check")[2] == asked
    assert not any("cmp" in line for line in _commands(template, stages[f"{name}-check"], "Check"))


@pytest.mark.parametrize(
    ("asked", "now", "passes"),
    [
        (("none", "a queue"), ("none", "a queue"), True),
        (("none", "a queue"), ("none", "nothing"), True),
        (("needed", "a database"), ("needed", "a database"), True),
        (("needed", "a database"), ("none", "nothing"), True),
        (("none", "a queue"), ("needed", "a database"), False),
        (("needed", "a database"), ("needed", "a database and a role"), False),
    ],
)
def test_what_has_come_up_since_is_refused(
    template: Template,
    stages: dict[str, Any],
    tmp_path: Path,
    asked: tuple[str, str],
    now: tuple[str, str],
    passes: bool,
) -> None:
    (line,) = (line for line in _commands(template, stages["dev"], "Check") if "cmp" in line)
    for folder, (approval, summary) in {"asked": asked, "before": now}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "approval").write_text(f"{approval}\n")
        (tmp_path / folder / "summary.md").write_text(f"{summary}\n")
    run = subprocess.run(["/bin/sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (run.returncode == 0) is passes
    assert run.stderr == (
        "" if passes else "dev: something else was deployed since approval was asked for: release the change again\n"
    )


def test_files_are_published_and_no_image_is(template: Template, stages: dict[str, Any]) -> None:
    assert _actions(stages["Assets"]) == [{"FileAssets"}]
    for environment in PROMOTED:
        folder = release().get_nested_assembly(f"assembly-{environment.name}")
        for artifact in folder.artifacts:
            if isinstance(artifact, cdk.cx_api.AssetManifestArtifact):
                with open(artifact.file) as manifest:  # noqa: PTH123 - jsii gives a string
                    assert json.load(manifest)["dockerImages"] == {}


def test_a_changed_package_does_not_change_the_pipeline(template: Template) -> None:
    """Else every change of a function would start the pipeline anew."""
    names = {
        asset
        for environment in PROMOTED
        for stack in release().get_nested_assembly(f"assembly-{environment.name}").stacks
        for asset in (
            part.removesuffix(".zip") for part in json.dumps(stack.template).split('"') if part.endswith(".zip")
        )
    }
    assert names
    assert not [name for name in names if name in json.dumps(template)]


def test_the_cli_is_the_one_that_synthesizes(template: Template) -> None:
    version = json.loads((CHECKOUT / "package.json").read_text())["devDependencies"]["aws-cdk"]
    specifications = [
        text(each["Source"].get("BuildSpec", "")) for each in resources(template, "AWS::CodeBuild::Project").values()
    ]
    (own,) = (each for each in specifications if "npm install -g aws-cdk" in each)
    assert f"npm install -g aws-cdk@{version}" in own
    assert "deploy Pipeline --require-approval=never" in own


# --- What each step may do ---


@in_every_environment
def test_a_check_may_only_look(template: Template, stages: dict[str, Any], environment: Environment) -> None:
    for name in (f"{environment.name}-check", environment.name):
        if name in stages:
            granted = _role_of(template, _project(template, stages[name], "Check"))
            assert _granted(granted, "sts:AssumeRole") == _bootstrap(environment, "lookup")
            assert not _granted(granted, "lambda:InvokeFunction")


@in_every_environment
def test_a_verification_may_try_the_gateway_and_put_back(
    template: Template, stages: dict[str, Any], environment: Environment
) -> None:
    granted = _role_of(template, _project(template, stages[environment.name], "Verify"))
    assert _granted(granted, "sts:AssumeRole") == _bootstrap(environment, "deploy", "file-publishing", "lookup")
    assert _granted(granted, "lambda:InvokeFunction") == [
        f"arn:<AWS::Partition>:lambda:{environment.region}:{environment.account}:function:"
        f"litellm-{environment.name}-smoke"
    ]


@in_every_environment
def test_stacks_are_deployed_by_the_bootstraps_roles(stages: dict[str, Any], environment: Environment) -> None:
    roles = {
        (text(action["RoleArn"]), text(action["Configuration"].get("RoleArn", "")))
        for action in stages[environment.name]["Actions"]
        if action["Name"].endswith(".Prepare")
    }
    assert roles == {(*_bootstrap(environment, "deploy"), *_bootstrap(environment, "cfn-exec"))}


@pytest.mark.parametrize("name", ["Test", "Synth", "Image"])
def test_a_build_may_act_in_no_environment(template: Template, stages: dict[str, Any], name: str) -> None:
    assert not _granted(_role_of(template, _project(template, stages["Build"], name)), "sts:AssumeRole")


def test_only_the_image_build_may_push_and_only_there(template: Template, stages: dict[str, Any]) -> None:
    pushing = [identifier for identifier, each in statements(template) if "ecr:PutImage" in _list(each["Action"])]
    assert [plain(each) for each in pushing] == ["ReleasesPipelineBuildImageRoleDefaultPolicy"]
    granted = _role_of(template, _project(template, stages["Build"], "Image"))
    (repository,) = _granted(granted, "ecr:PutImage")
    assert "litellm-image:ExportsOutputFnGetAttRepository" in repository
    assert _granted(granted, "s3:PutObject") == ["<Boms.Arn>/*.cdx.json"]


def test_files_are_published_by_roles_that_may_do_nothing_else(template: Template) -> None:
    granted = [each for identifier, each in statements(template) if "AssetsFileRole" in identifier]
    expected = sorted(role for environment in PROMOTED for role in _bootstrap(environment, "file-publishing"))
    found = [each.replace("${AWS::Partition}", "<AWS::Partition>") for each in _granted(granted, "sts:AssumeRole")]
    assert sorted(found) == expected
    (denied,) = (each for each in granted if each["Effect"] == "Deny")
    assert denied["Action"] == ["codebuild:StartBuild", "codebuild:StopBuild"]
    assert denied["Resource"] == "*"


def test_wildcards(template: Template) -> None:
    found = set()
    for identifier, statement in statements(template):
        for resource in map(text, _list(statement["Resource"])):
            for action in _list(statement["Action"]) if statement["Effect"] == "Allow" else ():
                if "*" in resource.replace("<ReleasesPipelineArtifactsBucket.Arn>/*", ""):
                    found.add((plain(identifier), action, resource))
    of = {"Image": "ReleasesPipelineBuildImage", "SelfMutation": "ReleasesUpdatePipeline", "Assets": "ReleasesAssets"}
    expected = {(of[who], action, resource) for who, action, resource in WILDCARDS}
    # Beside its own log and reports, which every project may write, and the bills of materials.
    others = {
        (next(start for start in of.values() if name.startswith(start)), action, resource)
        for name, action, resource in found
        if "/aws/codebuild/" not in resource and "report-group/" not in resource and "<Boms.Arn>" not in resource
    }
    assert others == expected


def test_every_log_and_report_is_the_projects_own(template: Template) -> None:
    for identifier, statement in statements(template):
        for resource in map(text, _list(statement["Resource"])):
            if ("/aws/codebuild/" in resource or "report-group/" in resource) and "AssetsFileRole" not in identifier:
                assert "<Releases" in resource


def test_the_connection_is_used_by_both_its_names(template: Template, stages: dict[str, Any]) -> None:
    """By the pipeline, which looks for changes, and by each build that clones the repository; by no other."""
    (source,) = _outputs(stages["Source"], "Source")
    cloning = [
        _role_of(template, _project(template, stage, action["Name"]))
        for stage in stages.values()
        for action in stage["Actions"]
        if source in [artifact["Name"] for artifact in action.get("InputArtifacts", [])]
    ]
    pipeline = [
        each for identifier, each in statements(template) if plain(identifier).startswith("ReleasesPipelineRole")
    ]
    for service in ("codeconnections", "codestar-connections"):
        for granted in (pipeline, *cloning):
            assert _granted(granted, f"{service}:UseConnection") == [RELEASES.connection_arn]
        everywhere = _granted([each for _, each in statements(template)], f"{service}:UseConnection")
        assert len(everywhere) == 1 + len(cloning)


# --- What it keeps, and whom it tells ---


def test_artifacts_are_encrypted_and_expire(template: Template) -> None:
    store = only(template, "AWS::CodePipeline::Pipeline")["ArtifactStore"]
    assert text(store["EncryptionKey"]["Id"]) == "<ReleasesPipelineArtifactsBucketEncryptionKey.Arn>"
    key = only(template, "AWS::KMS::Key")
    assert key["EnableKeyRotation"] is True
    bucket = resources(template, "AWS::S3::Bucket")[store["Location"]["Ref"]]
    assert bucket["LifecycleConfiguration"]["Rules"] == [{"ExpirationInDays": 90, "Status": "Enabled"}]


def test_bills_of_materials_outlive_the_stack(template: Template) -> None:
    (kept,) = (
        each
        for identifier, each in template["Resources"].items()
        if each["Type"] == "AWS::S3::Bucket" and plain(identifier) == "Boms"
    )
    assert (kept["DeletionPolicy"], kept["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert "LifecycleConfiguration" not in kept["Properties"]


def test_logs_of_builds_expire(template: Template) -> None:
    (name,) = resources(template, "AWS::Logs::LogGroup")
    assert only(template, "AWS::Logs::LogGroup")["RetentionInDays"] == 365
    for project in resources(template, "AWS::CodeBuild::Project").values():
        assert project["LogsConfig"]["CloudWatchLogs"] == {"GroupName": {"Ref": name}, "Status": "ENABLED"}


def test_who_listens_is_told_of_failures_successes_and_approvals(template: Template) -> None:
    rule = only(template, "AWS::CodeStarNotifications::NotificationRule")
    assert rule["EventTypeIds"] == [
        "codepipeline-pipeline-pipeline-execution-failed",
        "codepipeline-pipeline-pipeline-execution-succeeded",
        "codepipeline-pipeline-stage-execution-failed",
        "codepipeline-pipeline-manual-approval-needed",
    ]
    assert [(text(each["TargetAddress"]), each["TargetType"]) for each in rule["Targets"]] == [("<Topic>", "SNS")]
    subscribed = resources(template, "AWS::SNS::Subscription").values()
    assert {(each["Protocol"], each["Endpoint"]) for each in subscribed} == {
        ("email", each) for each in RELEASES.emails
    }
    channel = only(template, "AWS::Chatbot::SlackChannelConfiguration")
    assert (channel["SlackWorkspaceId"], channel["SlackChannelId"]) == (RELEASES.workspace, RELEASES.channel)
    assert list(map(text, channel["SnsTopicArns"])) == ["<Topic>"]
    assert list(map(text, channel["GuardrailPolicies"])) == ["<SlackMayLook>"]
    (look,) = only(template, "AWS::IAM::ManagedPolicy")["PolicyDocument"]["Statement"]
    assert all(action.startswith(("codepipeline:Get", "codepipeline:List")) for action in look["Action"])
    assert "<ReleasesPipeline>" in text(look["Resource"])


# --- Other settings, and the beginning ---


def _synthesized(releases: Releases, *names: str) -> Template:
    """The pipeline's template with other settings, and small stand-ins for the environments' stages, by the rules."""
    cdk_app = cdk.App(context=json.loads((CHECKOUT / "cdk.json").read_text())["context"] | WITHOUT_BUNDLING)
    app.apply_rules(cdk_app)
    stages = []
    for name in names:
        place = environments()[name]
        stage = cdk.Stage(cdk_app, name, env=cdk.Environment(account=place.account, region=place.region))
        cdk.CfnOutput(cdk.Stack(stage, "Only"), "Name", value=name)
        stages.append(stage)
    own = cdk.Environment(account=releases.account, region=releases.region)
    images = ImageStack(cdk_app, "Image", stack_name="litellm-image", accounts=frozenset({"111111111111"}), env=own)
    PipelineStack(
        cdk_app,
        "Pipeline",
        stack_name="litellm-pipeline",
        releases=releases,
        repository=images.repository,
        stages=stages,
        env=own,
    )
    return _template(cdk_app.synth())


def _changed(**changes: Any) -> Releases:  # noqa: ANN401 - settings
    return Releases(**dict(RELEASES) | changes)


def test_environments_as_the_settings_have_them() -> None:
    template = _synthesized(_changed(environments=("stg", "prod"), approved=("stg", "prod")), "stg", "prod")
    names = [stage["Name"] for stage in only(template, "AWS::CodePipeline::Pipeline")["Stages"]]
    assert [name for name in names if "stg" in name or "dev" in name or "prod" in name] == ["stg", "prod"]


def test_environments_in_another_region_than_the_pipeline() -> None:
    template = _synthesized(_changed(region="us-west-2"), "dev")
    stages = {stage["Name"]: stage for stage in only(template, "AWS::CodePipeline::Pipeline")["Stages"]}
    (prepare,) = (each for each in stages["dev"]["Actions"] if each["Name"].endswith(".Prepare"))
    assert prepare["Region"] == environments()["dev"].region
    granted = _role_of(template, _project(template, stages["dev"], "Verify"))
    assert _granted(granted, "sts:AssumeRole") == _bootstrap(
        environments()["dev"], "deploy", "file-publishing", "lookup"
    )


def test_without_a_channel_nothing_of_slack() -> None:
    template = _synthesized(_changed(workspace=None, channel=None), "dev")
    assert not resources(template, "AWS::Chatbot::SlackChannelConfiguration")
    assert not resources(template, "AWS::IAM::ManagedPolicy")


def test_the_first_deployment_builds_and_then_changes_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an image there is none to deploy: nothing is, before the pipeline has built one and knows its stages.

    What would be in those stages is not looked at, and not made.
    """
    monkeypatch.setattr(app, "EnvironmentStage", lambda scope, *, environment, **_: cdk.Stage(scope, environment.name))
    cdk_app = cdk.App(context=json.loads((CHECKOUT / "cdk.json").read_text())["context"] | WITHOUT_BUNDLING)
    app.build(cdk_app, company())
    assembly = cdk_app.synth()
    template = _template(assembly)
    stages = only(template, "AWS::CodePipeline::Pipeline")["Stages"]
    assert [stage["Name"] for stage in stages] == ["Source", "Build", "UpdatePipeline"]
    # What is there already is what the pipeline's own synthesis makes of it: it changes itself by adding.
    later = _template(release())
    assert set(template["Resources"]) < set(later["Resources"])
    dependencies = assembly.get_stack_by_name("litellm-pipeline").dependencies
    assert "Image" in [each.id for each in dependencies]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, {"litellm-image", "litellm-pipeline"}),
        ({"github_actions": True}, {"litellm-image", "litellm-pipeline", "litellm-github"}),
        ({"connection_arn": None, "github_actions": True}, {"litellm-image", "litellm-github"}),
    ],
)
def test_stacks_of_what_promotes(changes: dict[str, Any], names: set[str]) -> None:
    cdk_app = cdk.App(context=json.loads((CHECKOUT / "cdk.json").read_text())["context"])
    app.promote(cdk_app, replace(company(), releases=_changed(**changes)), {})
    assert {stack.stack_name for stack in cdk_app.synth().stacks} == names


def test_a_region_that_is_not_known_to_have_codepipeline_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def told() -> list[str]:
        cdk_app = cdk.App(context=json.loads((CHECKOUT / "cdk.json").read_text())["context"] | WITHOUT_BUNDLING)
        app.promote(cdk_app, replace(company(), releases=_changed(github_actions=False)), {})
        image = cast(cdk.Stack, cdk_app.node.find_child("Image"))
        return [str(each.entry.data) for each in Annotations.from_stack(image).find_warning("*", Match.any_value())]

    assert told() == []
    monkeypatch.setattr("stacks.settings.regions.regions_of", lambda _: frozenset({"us-east-1"}))
    (sentence,) = told()
    assert sentence.startswith("releases: CodeBuild, CodePipeline is not known to be in ap-northeast-1: look at")
