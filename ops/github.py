"""What GitHub's workflows have to know of the settings: `python -m ops.github build`, `… targets`, `… environment dev`.

Prints `name=value` lines, as a step of a job puts them into GITHUB_OUTPUT, so that no workflow repeats an account, a
region or a role of `company/environments.py`.

Exit codes: 0 it is printed; 2 a mistake, in one sentence.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from itertools import zip_longest
from typing import Final

import boto3

from ops.access import OpsError, environment_named, run
from stacks.company import promotion
from stacks.releases import github
from stacks.releases.image import REPOSITORY
from stacks.settings import WORKFLOW_ENVIRONMENTS, Releases

JOBS: Final = ("first", "second", "third", "fourth", "fifth", "sixth")
"""The jobs of promote.yml that deploy, in their order."""

assert len(JOBS) == WORKFLOW_ENVIRONMENTS  # noqa: S101 - the settings refuse more


def of_build(releases: Releases) -> Mapping[str, str]:
    """Where the image goes, and as whom it is pushed."""
    account, region = releases.account, releases.region
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return {
        "region": region,
        "role": _role_arn(account, region, github.BUILD_ROLE),
        "repository": f"{account}.dkr.ecr.{region}.{domain}/{REPOSITORY}",
    }


def of_environment(releases: Releases, name: str) -> Mapping[str, str]:
    """Where a release goes, as whom it is checked and deployed, and the GitHub environment that it is deployed in.

    That is `environment` if its check asks for no approval, else `approval`, where GitHub waits for a person.

    Raises
    ------
    OpsError
        No release goes there.
    """
    environment = environment_named(name)
    if name not in releases.environments:
        raise OpsError(f"no release goes to {name}: releases() in company/environments.py names its environments.")
    account, region = environment.account, environment.region
    return {
        "region": region,
        "check-role": _role_arn(account, region, github.check_role(name)),
        "deploy-role": _role_arn(account, region, github.deploy_role(name)),
        "environment": github.approval(name) if name in releases.approved else name,
        "approval": github.approval(name),
    }


def targets(releases: Releases, where: str, *, again: bool) -> Mapping[str, str]:
    """The environments that a run takes a release to, in their order: a name for each job of promote.yml, or none.

    `where` is the last of them, or `all`. With `again` an earlier run's release goes back out: to that one alone.

    Raises
    ------
    OpsError
        No release goes there.
    """
    known = releases.environments
    if where != "all" and where not in known:
        raise OpsError(f"no release goes to {where}: name one of {', '.join(known)}, or all.")
    last = len(known) if where == "all" else known.index(where) + 1
    chosen = known[last - 1 : last] if again and where != "all" else known[:last]
    return dict(zip_longest(JOBS, chosen, fillvalue=""))


def _role_arn(account: str, region: str, name: str) -> str:
    return f"arn:{boto3.Session().get_partition_for_region(region)}:iam::{account}:role/{name}"


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(prog="python -m ops.github", description=(__doc__ or "").split("\n\n")[0])
    what = result.add_subparsers(dest="what", required=True, metavar="WHAT")
    what.add_parser("build", help="where the image of a release goes")
    of_targets = what.add_parser("targets", help="which environments a release goes to")
    of_targets.add_argument("--where", metavar="NAME", default="all", help="the last of them, or all (default)")
    of_targets.add_argument(
        "--run", metavar="NUMBER", default="", help="whose release goes back out: to that one alone"
    )
    what.add_parser("environment", help="where a release goes").add_argument("name", metavar="NAME")
    return result


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = parser().parse_args(argv)

    def work() -> int:
        releases = promotion()
        if not releases or not releases.github_actions:
            raise OpsError(
                "GitHub Actions promote nothing: set github_actions in releases() of company/environments.py, "
                "and deploy the stacks GitHub-<account>."
            )
        match arguments.what:
            case "build":
                found = of_build(releases)
            case "targets":
                found = targets(releases, arguments.where, again=bool(arguments.run))
            case _:
                found = of_environment(releases, arguments.name)
        print("\n".join(f"{name}={value}" for name, value in found.items()))
        return 0

    return run("github", work)


if __name__ == "__main__":
    sys.exit(main())
