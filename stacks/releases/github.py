"""GitHub Actions' way into the AWS accounts: GitHub's OIDC provider, and a role for each kind of work, without keys."""

from collections.abc import Iterable, Mapping
from typing import Any

from aws_cdk import Acknowledgment, ArnFormat, DefaultStackSynthesizer, Duration, Stack, Validations
from aws_cdk import Environment as AwsEnvironment
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.releases.image import REPOSITORY
from stacks.settings import Environment, Releases

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"  # that aws-actions/configure-aws-credentials asks for
SESSION = Duration.hours(2)  # a migration may take one, and the roll-out follows it

BUILD_ROLE = "litellm-github-build"

# What container/build-image.sh does with the repository.
PUSH = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)


def check_role(environment: str) -> str:
    """The name of the role that reads what a release would change."""
    return f"litellm-{environment}-github-check"


def deploy_role(environment: str) -> str:
    """The name of the role that deploys a release."""
    return f"litellm-{environment}-github"


def approval(environment: str) -> str:
    """The name of the GitHub environment in which a release waits for a person's approval."""
    return f"{environment}-approval"


class GitHubStack(Stack):
    """What the repository's workflows may do in one AWS account, which has GitHub's OIDC provider once at most.

    Every role trusts only the branch of the releases in their repository:

    - For each of `environments`, the ones of this account: `litellm-<env>-github-check` reads what is deployed, in the
      GitHub environment `<env>`. `litellm-<env>-github` deploys, in `<env>-approval`, where GitHub waits for a person,
      and where no approval is asked for by the settings, also in `<env>`. Either acts through the roles of `cdk
      bootstrap`; neither may itself change anything.
    - In the releases' own account: `litellm-github-build` pushes images to the one repository.

    A person deploys this stack as they bootstrap the account: no release widens its own rights.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        releases: Releases,
        environments: Iterable[Environment],
        **kwargs: Any,  # noqa: ANN401 - a stack's own properties
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
        self._releases = releases
        self._provider_arn = self._provider()
        for environment in environments:
            self._may_check(environment)
            self._may_deploy(environment)
        if self.account == releases.account:
            self._may_build()

    def _provider(self) -> str:
        if self._releases.oidc_provider:
            return self.format_arn(service="iam", region="", resource="oidc-provider", resource_name=ISSUER)
        provider = iam.OidcProviderNative(self, "Provider", url=f"https://{ISSUER}", client_ids=[AUDIENCE])
        return provider.oidc_provider_arn

    def _may_check(self, environment: Environment) -> None:
        name = environment.name
        role = self._role(f"{name.capitalize()}Check", check_role(name), environments=(name,))
        role.add_to_policy(self._acting_as(environment, "lookup"))

    def _may_deploy(self, environment: Environment) -> None:
        name = environment.name
        waits = (approval(name),) if name in self._releases.approved else (name, approval(name))
        role = self._role(f"{name.capitalize()}Deploy", deploy_role(name), environments=waits)
        role.add_to_policy(self._acting_as(environment, "lookup", "deploy", "file-publishing"))
        smoke = self.format_arn(
            service="lambda",
            region=environment.region,
            resource="function",
            resource_name=f"litellm-{name}-smoke",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        role.add_to_policy(iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[smoke]))

    def _may_build(self) -> None:
        role = self._role("Build", BUILD_ROLE)
        repository = self.format_arn(
            service="ecr", region=self._releases.region, resource="repository", resource_name=REPOSITORY
        )
        role.add_to_policy(iam.PolicyStatement(actions=list(PUSH), resources=[repository]))
        role.add_to_policy(iam.PolicyStatement(actions=["ecr:GetAuthorizationToken"], resources=["*"]))
        Validations.of(role).acknowledge(
            Acknowledgment(
                id="AwsSolutions-IAM5[Resource::*]",
                reason="ecr:GetAuthorizationToken knows no resources; what the token is good for is in the other line",
            )
        )

    def _acting_as(self, environment: Environment, *roles: str) -> iam.PolicyStatement:
        """To assume some of the roles that `cdk bootstrap` has made for the environment's region."""
        names = (
            f"cdk-{DefaultStackSynthesizer.DEFAULT_QUALIFIER}-{role}-role-{environment.account}-{environment.region}"
            for role in roles
        )
        return iam.PolicyStatement(
            actions=["sts:AssumeRole"],
            resources=[
                self.format_arn(service="iam", region="", resource="role", resource_name=name) for name in names
            ],
        )

    def _role(self, construct_id: str, role_name: str, *, environments: Iterable[str] = ()) -> iam.Role:
        conditions = self._trusted(tuple(environments))
        return iam.Role(
            self,
            construct_id,
            role_name=role_name,  # fixed: the workflows name it
            description="GitHub Actions, by OIDC",
            assumed_by=iam.WebIdentityPrincipal(self._provider_arn, conditions),
            max_session_duration=SESSION,
        )

    def _trusted(self, environments: tuple[str, ...]) -> Mapping[str, Any]:
        """What a token of GitHub's must say: the repository, its branch and, if any are named, the job's environment.

        IAM wants a condition on the subject. Its form depends on the repository's age: since 2026-07-15, new ones have
        the owner's and the repository's number in it. The wildcards stand for these numbers only, as the repository's
        name is compared by itself.
        https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens/
        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif
        """
        repository, ref = self._releases.repository, f"refs/heads/{self._releases.branch}"
        owner, name = repository.split("/")
        contexts = [f"environment:{each}" for each in environments] or [f"ref:{ref}"]
        exact: dict[str, str | list[str]] = {"aud": AUDIENCE, "repository": repository, "ref": ref}
        if environments:
            exact["environment"] = list(environments)
        subjects = [f"repo:{one}:{each}" for one in (repository, f"{owner}@*/{name}@*") for each in contexts]
        return {
            "StringEquals": {f"{ISSUER}:{claim}": value for claim, value in exact.items()},
            "StringLike": {f"{ISSUER}:sub": subjects},
        }


def github_stacks(scope: Construct, releases: Releases, environments: Mapping[str, Environment]) -> list[GitHubStack]:
    """A stack for each AWS account that workflows go to: `GitHub-<account>`, named `litellm-github`."""
    chosen = [environments[name] for name in releases.environments]
    return [
        GitHubStack(
            scope,
            f"GitHub-{account}",
            releases=releases,
            environments=[each for each in chosen if each.account == account],
            stack_name="litellm-github",
            env=AwsEnvironment(account=account, region=releases.region),
            tags={"service": "litellm-gateway"},
            termination_protection=True,
        )
        for account in dict.fromkeys((releases.account, *(each.account for each in chosen)))
    ]
