"""The image of a release: where it is kept, for all environments, and how a task definition names it."""

import atexit
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.settings import AccountId, SettingsError

REPOSITORY = "litellm-gateway"
"""Fixed: templates of other accounts name it."""

UNTAGGED_DAYS = 14
_BY_DIGEST = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z]{2}(-[a-z]+)+-\d)\.amazonaws\.com(\.cn)?"
    r"/(?P<name>[a-z0-9]+([._/-][a-z0-9]+)*)@(?P<digest>sha256:[0-9a-f]{64})"
)


@cache
def build_context(container: Path, config: Path) -> Path:
    """A folder to build the image from: the product's `container` with the company's `config` in it as config.yaml.

    It is removed when the process ends.
    """
    folder = Path(tempfile.mkdtemp(prefix="litellm-image-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shutil.copytree(container, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(config, folder / "config.yaml")
    return folder


def by_digest(scope: Construct, construct_id: str, image: str) -> ecs.ContainerImage:
    """The image `ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME@sha256:…` for a task, whose execution role may then pull it.

    Of that repository's own policy it needs that it lets the task's account in, as `ImageStack` does.

    Raises
    ------
    SettingsError
        It is not an image of Amazon ECR by its digest: a tag could be another image in the next environment.
    """
    found = _BY_DIGEST.fullmatch(image)
    if not found:
        raise SettingsError(
            f"image: '{image}' is not an image of Amazon ECR by its digest: give it as "
            "-c image=ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME@sha256:…"
        )
    repository = ecr.Repository.from_repository_attributes(
        scope,
        construct_id,
        repository_arn=Stack.of(scope).format_arn(
            service="ecr",
            region=found["region"],
            account=found["account"],
            resource="repository",
            resource_name=found["name"],
        ),
        repository_name=found["name"],
    )
    return ecs.ContainerImage.from_ecr_repository(repository, found["digest"])


class ImageStack(Stack):
    """Where the images of releases are kept: a repository of Amazon ECR, which outlives the stack.

    It has an image a commit, under the commit's own tag, which can never be moved to another; ECR scans each when it is
    pushed. `accounts`, those of the environments, may pull, each by its own roles' policies.

    **No image with a tag expires.** A rule could only count or look at dates, and ECR does not know what an environment
    of another account runs: a prod that has taken no release for long would lose what its next task starts from, and
    everybody what a rollback needs. All that it costs is LiteLLM's own layers, once for each of its versions: below 0.1
    US dollars a month each; a release adds some kilobytes. What loses its tag by hand goes after a while.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        accounts: frozenset[AccountId],
        **kwargs: Any,  # noqa: ANN401 - a stack's own properties
    ) -> None:
        super().__init__(scope, construct_id, termination_protection=True, **kwargs)
        self.repository = ecr.Repository(
            self,
            "Repository",
            repository_name=REPOSITORY,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            image_scan_on_push=True,
            encryption=ecr.RepositoryEncryption.AES_256,  # nothing in it is secret
            removal_policy=RemovalPolicy.RETAIN,
            lifecycle_rules=[
                ecr.LifecycleRule(
                    description="No environment names an image that has lost its tag",
                    tag_status=ecr.TagStatus.UNTAGGED,
                    max_image_age=Duration.days(UNTAGGED_DAYS),
                )
            ],
        )
        # The account, not its roles: those are made after the repository, and each has its own permission besides.
        self.repository.add_to_resource_policy(
            iam.PolicyStatement(
                sid="EnvironmentsPull",
                principals=[iam.AccountPrincipal(account) for account in sorted(accounts)],
                actions=["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            )
        )
