"""The image of a release: the repository, who may pull, and how the tasks of every environment name it."""

import json

import aws_cdk as cdk
import pytest

from stacks.company import config_file, environments
from stacks.environment_stage import EnvironmentStage
from stacks.releases.image import REPOSITORY, ImageStack, by_digest
from stacks.settings import SettingsError
from tests.templates.conftest import CHECKOUT, WITHOUT_BUNDLING, Template, only, resources, statements
from tests.templates.synthesis import IMAGE, artifacts, plain, text

ACCOUNTS = frozenset({"222222222222", "111111111111"})


@pytest.fixture(scope="module")
def template() -> Template:
    cdk_app = cdk.App(context=json.loads((CHECKOUT / "cdk.json").read_text())["context"])
    own = cdk.Environment(account="444444444444", region="ap-northeast-1")
    ImageStack(cdk_app, "Image", stack_name="litellm-image", accounts=ACCOUNTS, env=own)
    found: Template = cdk_app.synth().get_stack_by_name("litellm-image").template
    return found


@pytest.fixture(scope="module")
def released() -> dict[str, Template]:
    """The stacks of dev as a release deploys them."""
    cdk_app = cdk.App(context=json.loads((CHECKOUT / "cdk.json").read_text())["context"] | WITHOUT_BUNDLING)
    EnvironmentStage(cdk_app, environment=environments()["dev"], config_file=config_file(), image=IMAGE)
    return {
        stack.hierarchical_id.rsplit("/", 1)[-1]: stack.template
        for stack in cdk_app.synth().get_nested_assembly("assembly-dev").stacks
    }


def test_a_tag_is_one_image_for_ever(template: Template) -> None:
    repository = only(template, "AWS::ECR::Repository")
    assert repository["RepositoryName"] == REPOSITORY
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}


def test_it_outlives_the_stack(template: Template) -> None:
    (resource,) = (each for each in template["Resources"].values() if each["Type"] == "AWS::ECR::Repository")
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_no_image_with_a_tag_expires(template: Template) -> None:
    """An environment may run any of them, and the repository cannot know."""
    rules = json.loads(only(template, "AWS::ECR::Repository")["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert [rule["selection"]["tagStatus"] for rule in rules] == ["untagged"]


def test_exactly_the_environments_accounts_may_pull_and_do_nothing_else(template: Template) -> None:
    (statement,) = only(template, "AWS::ECR::Repository")["RepositoryPolicyText"]["Statement"]
    assert statement["Effect"] == "Allow"
    assert statement["Principal"] == {
        "AWS": ["arn:aws:iam::111111111111:root", "arn:aws:iam::222222222222:root"],
    }
    assert statement["Action"] == ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]


def test_both_tasks_run_the_release_by_its_digest(released: dict[str, Template]) -> None:
    tasks = resources(released["Gateway"], "AWS::ECS::TaskDefinition").values()
    images = [text(container["Image"]) for task in tasks for container in task["ContainerDefinitions"]]
    assert images == [IMAGE.replace(".amazonaws.com/", ".<AWS::URLSuffix>/")] * 2


def test_the_tasks_execution_roles_may_pull_that_repository_and_no_other(released: dict[str, Template]) -> None:
    pulling = {
        plain(identifier): text(statement["Resource"])
        for identifier, statement in statements(released["Gateway"])
        if "ecr:BatchGetImage" in statement["Action"]
    }
    arn = f"arn:aws:ecr:ap-northeast-1:444444444444:repository/{REPOSITORY}"
    assert pulling == {
        "TaskExecutionRoleDefaultPolicy": arn,
        "MigrationTaskExecutionRoleDefaultPolicy": arn,
    }


def test_nothing_else_changes_with_the_image(released: dict[str, Template]) -> None:
    """The same resources under the same ids, with or without: what was deployed by hand is taken over by releases."""
    without = {name: stack.template for name, stack in artifacts()["dev"].items()}
    assert set(released) == set(without)
    for name, template in released.items():
        assert set(template["Resources"]) == set(without[name]["Resources"]), name
    changed = {
        plain(identifier)
        for identifier, resource in released["Gateway"]["Resources"].items()
        if resource != without["Gateway"]["Resources"][identifier]
    }
    assert changed == {
        *("Task", "MigrationTask"),
        *("TaskExecutionRoleDefaultPolicy", "MigrationTaskExecutionRoleDefaultPolicy"),
    }


@pytest.mark.parametrize(
    "image",
    [
        "litellm-gateway",
        IMAGE.split("@")[0],
        f"{IMAGE.split('@')[0]}:latest",
        IMAGE[:-1],
        f"{IMAGE}0",
        IMAGE.replace("sha256:0", "sha256:G"),
        IMAGE.replace("444444444444", "4444"),
        f"ghcr.io/berriai/litellm@{IMAGE.split('@')[1]}",
        f"{IMAGE}\n",
        f" {IMAGE}",
    ],
)
def test_an_image_that_is_none_by_its_digest_is_refused(image: str) -> None:
    with pytest.raises(SettingsError, match=r"is not an image of Amazon ECR by its digest: give it as -c image="):
        by_digest(cdk.Stack(cdk.App(), "Stack"), "Image", image)
