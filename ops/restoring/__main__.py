"""Brings the database back: `make restore ENV=prod TO=2026-11-24T03:00:00Z`, or in another region with `REGION=…`.

Without a region it restores to a second of the last days, beside the database in use: a task looks into it, and once
somebody has said yes it takes the place. With `ARGS=--rehearse` it is only looked into, and removed. With a region,
which the settings must name by then, it deploys the database there, fills it from the newest copy, and then deploys
the rest.

Each step is said before it is done, with what is lost; `ARGS=--dry-run` says no more than that. What was interrupted
goes on with `ARGS=--go-on`. `ARGS=--prepare` carries the secrets over to the second region, which they must be in
before the day comes: without LITELLM_SALT_KEY the credentials in the copy cannot be read.

Integrates with the CDK CLI, Amazon Q Developer in chat applications, AWS Backup, AWS Budgets, CloudFormation,
CloudWatch, ECS, Lambda, RDS, Route 53, STS and Systems Manager, through boto3's own credentials and settings
(AWS_PROFILE, AWS_ENDPOINT_URL, …).

Exit codes: 0 it is done; 1 the gateway does not answer as it should; 2 a mistake or an error, in one sentence; 130
interrupted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import boto3

from ops import release
from ops.access import Access, OpsError, connect, environment_named, run
from ops.assembly import Assembly, deployed_stack, resources_of
from ops.release import Cdk, run_cdk
from ops.restoring.clusters import Clusters, Copy, Second
from ops.restoring.elsewhere import Once, carry_over, missing, newest_copy
from ops.restoring.tasks import Tasks
from ops.secrets import Store, required_secrets
from ops.smoke import smoke
from stacks.company import config_file
from stacks.settings import Environment

Ask = Callable[[str], str]
fifteen_seconds: Final = partial(time.sleep, 15)

LOST: Final = """\
What is lost: everything after {moment}, in all of LiteLLM: accounts, keys, budgets, spend.
What comes back: keys that were deleted or blocked since, and the accounts of who has left since; docs/operations/\
restore-database.md, Afterwards, has what to do about them.
Nobody may deploy meanwhile."""


@dataclass(frozen=True)
class Run:
    """One run of the command: where, what was asked for, and who answers."""

    access: Access
    arguments: argparse.Namespace
    ask: Ask | None
    cdk: Cdk
    wait: Callable[[], None]
    begun: list[str]
    """Filled once something is being changed."""

    @property
    def environment(self) -> Environment:
        """Whose database it is."""
        return self.access.environment

    def client(self, service: str, region: str | None = None) -> Any:  # noqa: ANN401 - boto3's clients have no common type
        """A client in the environment's region, or another."""
        return self.access.session.client(service, region_name=region or self.environment.region)  # type: ignore[call-overload]

    def told(self, steps: Iterable[str], moment: str) -> bool:
        """Say what will be done and lost, and whether it is to be done."""
        print("What will be done:", *(f"  {number}. {step}" for number, step in enumerate(steps, 1)), sep="\n")
        if not self.arguments.rehearse:
            print(LOST.format(moment=moment))
        if self.arguments.dry_run:
            print("Nothing was done, as --dry-run says.")
        return not self.arguments.dry_run

    def confirm(self, what: str) -> None:
        """Have the environment's name typed, unless it was given.

        Raises
        ------
        OpsError
            Another name, or nobody is there to type it.
        """
        name, given = self.environment.name, self.arguments.yes_i_mean
        if given is None:
            if self.ask is None:
                raise OpsError(f"nobody is here to confirm it: say --yes-i-mean {name} to go on without a terminal.")
            try:
                given = self.ask(f"Type {name} {what}: ").strip()
            except EOFError:
                given = ""
        if given != name:
            raise OpsError(f"{name} was not confirmed: type its name, or leave it as it is.")
        self.begun.append(name)

    def clusters(self) -> Clusters:
        """The cluster, with the instances that CloudFormation made, the writer first.

        Raises
        ------
        OpsError
            The database was never deployed here.
        """
        stack = f"litellm-{self.environment.name}-database"
        if deployed_stack(self.access.session, stack) is None:
            raise OpsError(
                f"there is no stack {stack} in {self.environment.region}: if that region is gone, give REGION=… "
                "(docs/operations/region-gone.md)."
            )
        found = {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for each in resources_of(self.client("cloudformation"), stack)
            if each["ResourceType"] == "AWS::RDS::DBInstance"
        }
        writer_first = sorted(found, key=lambda logical_id: (not logical_id.startswith("ClusterWriter"), logical_id))
        return Clusters(
            self.client("rds"),
            f"litellm-{self.environment.name}",
            tuple(found[logical_id] for logical_id in writer_first),
            print,
            self.wait,
        )

    def refuse_leftovers(self, clusters: Clusters) -> None:
        """Refuse to begin over what another run has left.

        Raises
        ------
        OpsError
            A restored or a replaced cluster is there already.
        """
        if self.arguments.go_on:
            return
        if clusters.found(clusters.restored):
            raise OpsError(
                f"{clusters.restored} is there already: go on with it (ARGS=--go-on), or remove it (ARGS=--discard)."
            )
        if clusters.found(clusters.old):
            raise OpsError(
                f"{clusters.old} is there, from the restore before: remove it first, as "
                "docs/operations/restore-database.md says at its end, or go on with that restore (ARGS=--go-on)."
            )

    def password(self) -> str:
        """The database's password of today, which one that is restored may not have yet."""
        name = self.environment.parameter("DATABASE_PASSWORD")
        return str(self.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])


# --- In the same region ---------------------------------------------------------------------------------------------


def here(this: Run) -> int:
    """Restore to a second of the last days; returns the exit code."""
    clusters, to = this.clusters(), this.arguments.to
    if this.arguments.discard:
        this.confirm(f"to remove {clusters.restored}")
        clusters.remove_restored()
        return 0
    this.refuse_leftovers(clusters)
    _within(clusters, to)
    count = len(clusters.instances)
    instances = f"{count} instance{'s' if count > 1 else ''}"
    steps = [
        f"{clusters.restored} is restored beside {clusters.now}, with {instances}: 10 to 40 minutes",
        "a task does the migrations of the release in it, and one looks into both",
    ]
    if this.arguments.rehearse:
        steps.append(f"{clusters.restored} is removed; {clusters.now} is not touched")
    else:
        steps += [
            f"you are asked again; then {clusters.now} becomes {clusters.old}, and {clusters.restored} becomes "
            f"{clusters.now}, with their instances: some minutes, in which new sign-ins may fail",
            "new tasks take the place of the running ones, and the smoke test runs",
        ]
    if not this.told(steps, _moment(to)):
        return 0
    this.confirm("to restore it beside the one in use")
    tasks = Tasks(this.access.session, this.environment, this.wait)
    if not clusters.taking:
        clusters.make(Second(to), this.password())
        tasks.migrate(clusters.endpoint(clusters.restored))
        for name in (clusters.now, clusters.restored):
            print(f"{name}: accounts, latest call, migrations: {tasks.look(clusters.endpoint(name))}")
    if this.arguments.rehearse:
        clusters.remove_restored()
        return 0
    this.confirm(f"to have {clusters.restored} take the place of {clusters.now}")
    clusters.take_place()
    tasks.renew()
    report = smoke(this.access)
    print(report.text())
    print(f"{clusters.old} stays, untouched. What is left to do: docs/operations/restore-database.md, Afterwards.")
    return 0 if report.passed else 1


def _within(clusters: Clusters, to: datetime | None) -> None:
    """Refuse a second that Aurora has no backup of.

    Raises
    ------
    OpsError
        It is before the first or after the last one.
    """
    cluster = clusters.found(clusters.now)
    if cluster is None or to is None:
        return
    first, last = cluster["EarliestRestorableTime"], cluster["LatestRestorableTime"]
    if not first <= to <= last:
        raise OpsError(
            f"{clusters.now} can be restored to any second from {_moment(first)} to {_moment(last)}, and {_moment(to)} "
            "is none of them: give TO= one that is."
        )


def _moment(to: datetime | None) -> str:
    return f"{to.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if to else "the latest second that Aurora has"


# --- In another region ----------------------------------------------------------------------------------------------


def elsewhere(this: Run, assembly: Callable[[], Assembly]) -> int:
    """Restore the newest copy in the region that the settings name now, and deploy there; returns the exit code."""
    environment, region = this.environment, this.arguments.region
    if environment.region != region:
        zones = ", ".join(f'"{region}{letter}"' for letter in "ac")
        raise OpsError(
            f'{environment.name} is in {environment.region} by its settings: write region="{region}", network.zones '
            f"of it (such as {zones}) and a database.copies of another region, or none, in company/environments.py, "
            "and run it again (docs/operations/region-gone.md)."
        )
    name = environment.name
    gateway = deployed_stack(this.access.session, f"litellm-{name}-gateway")
    if gateway and not this.arguments.go_on:
        raise OpsError(
            f"{name} is deployed in {region} already: to restore it there to a second, leave REGION out; to go on "
            "after an interruption, say ARGS=--go-on."
        )
    copy = newest_copy(this.access.session, environment, this.arguments.to)
    if lacking := missing(Store(environment, this.client("ssm")), required_secrets(environment, config_file())):
        raise OpsError(
            f"{region} lacks {', '.join(lacking)}: store the values that {name} had, with make secrets ENV={name} "
            'ARGS="--file …"; another LITELLM_SALT_KEY than the old one cannot read the copy.'
        )
    made = assembly()
    # What is of a stack that is here already is its own.
    to_come = [stack for stack in made.stacks(name) if deployed_stack(this.access.session, stack.name) is None]
    in_the_way = Once(this.access.session, environment).in_the_way(to_come)
    steps = [
        f"litellm-{name}-network and litellm-{name}-database are deployed in {region}, empty: about 20 minutes",
        f"the copy of {_moment(copy.taken)} is restored beside it, and takes its place: 20 to 60 minutes",
        f"what the account has but once, of the region that is gone, is removed: {', '.join(in_the_way) or 'nothing'}",
        "everything else is deployed, and the smoke test runs: about 30 minutes",
    ]
    if not this.told(steps, _moment(copy.taken)):
        return 0
    this.confirm(f"to bring it up in {region}")
    app = ("--app", str(made.folder.resolve()))
    if this.cdk("deploy", f"{name}/Database", *app, "--require-approval", "never", "--no-notices"):
        raise OpsError(
            f"litellm-{name}-database was not deployed: the CDK CLI says above why; mend it, and run it again."
        )
    if not gateway:  # one that is there has been written to since
        _fill(this, copy)
    for remove in in_the_way.values():
        remove()
    arguments = ["deploy", "--env", name, "--app", str(made.folder.resolve()), "--yes"]
    return release.main(arguments, session=this.access.session, cdk=this.cdk)


def _fill(this: Run, copy: Copy) -> None:
    """Have what is restored of the copy take the place of the empty database, once."""
    clusters = this.clusters()
    if not clusters.taking:
        clusters.make(copy, this.password())
    clusters.take_place()
    print(f"{clusters.old}, which is empty, can go: docs/operations/restore-database.md, Remove the old one.")


def prepare(this: Run) -> int:
    """Carry the secrets over to the second region; returns the exit code."""
    environment = this.environment
    copies = environment.database.copies
    if not copies:
        raise OpsError(f"{environment.name} has no second region: set database.copies in company/environments.py.")
    names = required_secrets(environment, config_file())
    store, other = (Store(environment, this.client("ssm", region)) for region in (environment.region, copies.region))
    carried = list(carry_over(store, other, names))
    print(
        f"{copies.region} has {len(names)} secrets of {environment.name}; stored now: {', '.join(carried) or 'none'}."
    )
    return 0


# --- The command ----------------------------------------------------------------------------------------------------


def moment(text: str) -> datetime:
    """A second with its time zone, as in 2026-11-24T03:00:00Z."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise argparse.ArgumentTypeError(f"'{text}' is no time with its zone: write it as 2026-11-24T03:00:00Z")
    return found


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(prog="python -m ops.restoring", description=(__doc__ or "").split("\n\n")[0])
    result.add_argument("--env", required=True, metavar="NAME", help="an environment of company/environments.py")
    result.add_argument(
        "--to", type=moment, metavar="TIME", help="2026-11-24T03:00:00Z; without it, the latest there is"
    )
    result.add_argument("--region", metavar="REGION", help="the region to bring it up in, from the copy there")
    result.add_argument("--dry-run", action="store_true", help="only say what would be done and lost")
    result.add_argument("--rehearse", action="store_true", help="restore beside, look into it, and remove it")
    result.add_argument("--go-on", action="store_true", help="go on with what was interrupted")
    result.add_argument("--discard", action="store_true", help="remove what was restored and has not taken the place")
    result.add_argument("--prepare", action="store_true", help="carry the secrets over to the second region")
    result.add_argument("--yes-i-mean", metavar="NAME", help="do not ask, and go on with this environment")
    return result


def main(
    argv: list[str] | None = None,
    *,
    session: boto3.Session | None = None,
    ask: Ask | None = None,
    cdk: Cdk = run_cdk,
    wait: Callable[[], None] = fifteen_seconds,
    synthesize: Callable[[str], Assembly] = lambda name: Assembly.synthesize((name,)),
) -> int:
    """Run the command and return its exit code. Tests give the session, who answers, and what takes time."""
    arguments = parser().parse_args(argv)
    if ask is None and sys.stdin.isatty():
        ask = input

    begun: list[str] = []

    def work() -> int:
        if arguments.region and (arguments.rehearse or arguments.discard):
            raise OpsError("--rehearse and --discard are of the same region: leave REGION out.")
        access = connect(environment_named(arguments.env), session)
        this = Run(access, arguments, ask, cdk, wait, begun)
        if arguments.prepare:
            return prepare(this)
        if arguments.region:
            return elsewhere(this, lambda: synthesize(arguments.env))
        return here(this)

    return run("restore", work, done=lambda: " What was begun goes on with ARGS=--go-on." if begun else "")


if __name__ == "__main__":
    sys.exit(main())
