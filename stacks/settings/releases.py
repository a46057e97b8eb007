"""How releases are made and promoted from environment to environment."""

from collections.abc import Collection
from typing import Annotated, Self

from pydantic import model_validator

from stacks.settings.observability import Listeners
from stacks.settings.values import AccountId, Region, SettingsError, like

# The workflows of .github/ release this branch, and have a job for each of so many environments.
WORKFLOW_BRANCH = "main"
WORKFLOW_ENVIRONMENTS = 6


class Releases(Listeners):
    """How releases are made and promoted: in `account` and `region`, from `branch` of GitHub's `repository` owner/name.

    The image of a release is built there once; `environments` take it in this order (all, if none is named), those of
    `approved` after a person's approval (the last, if it is left out). With `connection_arn`, a connection of
    CodeConnections to the repository, CodePipeline does it,
    and tells its listeners; with `github_actions` workflows of the repository may, by OIDC roles. `oidc_provider` says
    that the accounts have GitHub's OIDC provider already: an account has one at most.
    """

    account: AccountId
    region: Region = "ap-northeast-1"
    repository: Annotated[
        str, like(r"[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}", "no repository of GitHub: write it as owner/name")
    ]
    branch: Annotated[str, like(r"[A-Za-z0-9._/-]{1,100}", "no name of a branch: use letters, digits and ._/-")] = (
        "main"
    )
    environments: tuple[str, ...] = ()
    approved: tuple[str, ...] = ()
    connection_arn: (
        Annotated[
            str,
            like(
                r"arn:aws[a-z-]*:(codeconnections|codestar-connections):[a-z0-9-]+:\d{12}:connection/[0-9a-f-]{36}",
                "no ARN of a connection: copy it whole from Developer Tools, Connections",
            ),
        ]
        | None
    ) = None
    github_actions: bool = False
    oidc_provider: bool = False

    @model_validator(mode="after")
    def _promotes(self) -> Self:
        if len(set(self.environments)) != len(self.environments):
            raise ValueError(f"environments names one twice ({', '.join(self.environments)}): name each once")
        if not (self.connection_arn or self.github_actions):
            raise ValueError("nothing promotes: set connection_arn or github_actions, or leave RELEASES out")
        if self.github_actions and self.branch != WORKFLOW_BRANCH:
            raise ValueError(
                f"branch is {self.branch}, but the workflows release {WORKFLOW_BRANCH} only: name that one, or leave "
                "github_actions to CodePipeline's connection_arn"
            )
        return self

    def among(self, names: Collection[str]) -> Self:
        """The settings with what they leave to the environments, whose `names` are in order.

        Without `environments` a release goes to all of them, and without `approved` a person approves the last.

        Raises
        ------
        SettingsError
            `environments` or `approved` has another name.
        """
        chosen = self.environments or tuple(names)
        approved = self.approved if "approved" in self.model_fields_set else chosen[-1:]
        for setting, given, known, place in (
            ("environments", chosen, names, "which company/environments.py does not define"),
            ("approved", approved, chosen, "which is not in environments"),
        ):
            if unknown := [name for name in given if name not in known]:
                raise SettingsError(f"releases: {setting} has {', '.join(unknown)}, {place}: it has {', '.join(known)}")
        if self.github_actions and len(chosen) > WORKFLOW_ENVIRONMENTS:
            raise SettingsError(
                f"releases: {len(chosen)} environments take releases, and the workflows have jobs for "
                f"{WORKFLOW_ENVIRONMENTS}: name those that they are to go to in environments"
            )
        return self.model_copy(update={"environments": chosen, "approved": approved})
