"""Takes a release to an environment, or what was there before back: `make deploy ENV=dev`.

A release is what `cdk synth` made, once for every environment. `check` tells what it would change, whether a person has
to approve, and keeps what is deployed now; `verify` tries the gateway once it is deployed, and puts that back if it
does not answer as it should. Pipelines call these two around their own deployment; `deploy` is all of it, for people.
`put-back` is for a deployment that was interrupted.

Integrates with AWS CloudFormation, Systems Manager, S3, Lambda and STS through boto3's own credentials and settings
(AWS_PROFILE, AWS_ENDPOINT_URL, …), and with the CDK CLI.

Exit codes: 0 it is well; 1 it is not (secrets are missing, approval is, the deployment failed, the smoke test did); 2 a
mistake or an error, in one sentence; 130 interrupted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3
from botocore import exceptions as aws

from ops import changes, first_attempts, rollback
from ops.access import Access, OpsError, connect, environment_named, run
from ops.assembly import Assembly
from ops.first_attempts import Attempt
from ops.rollback import PutBack, Saved
from ops.secrets import Store, required_secrets
from ops.smoke import Report, smoke
from stacks import CHECKOUT
from stacks.company import promotion
from stacks.settings import Environment

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

SUMMARY: Final = "summary.md"
APPROVAL: Final = "approval"
"""Files beside what was saved: what the release changes, as Markdown; and one word, `needed` or `none`."""

PASSED: Final = "passed"  # what the smoke test says, if nothing failed

Cdk = Callable[..., int]
"""Runs the CDK CLI with these arguments and returns its exit code."""


def run_cdk(*arguments: str) -> int:
    """Run the checkout's CDK CLI, with what it prints going where ours goes."""
    node = Path(sys.executable).parent / "node"
    program = CHECKOUT / "node_modules" / "aws-cdk" / "bin" / "cdk"
    sys.stdout.flush()
    return subprocess.run([str(node), str(program), *arguments], cwd=CHECKOUT, check=False).returncode  # noqa: S603


@dataclass
class Release:
    """A release on its way to an environment, and in `folder` what was deployed before it."""

    access: Access
    folder: Path
    wait: rollback.Wait = rollback.five_seconds
    deploying: bool = field(default=False, init=False)  # stacks have been, or are being, changed
    attempts: tuple[Attempt, ...] = field(default=(), init=False)  # stacks that have to go before they can be made

    @property
    def environment(self) -> Environment:
        """Where it goes."""
        return self.access.environment

    def check(self, assembly: Assembly) -> tuple[str, ...] | None:
        """Why a person has to approve the release, if so; None if it cannot be deployed, as secrets are missing.

        Prints what it would change, and writes into the folder what is deployed now.

        Raises
        ------
        OpsError
            Another deployment is running, or a stack is in a state in which it cannot be updated, or, for who goes by
            roles, made.
        """
        environment = self.environment
        print(f"{environment.name}: account {environment.account}, {environment.region}")
        if missing := self._missing_secrets():
            print(f"Secrets missing: {', '.join(missing)}. Store them with `make secrets ENV={environment.name}`.")
            return None
        print("Secrets: every one is present.")
        self.attempts = first_attempts.failed(self.access, assembly)
        changed = changes.of_deployment(self.access, assembly)
        more = (*map(str, self.attempts), *_always_approved(environment))
        why = (*changed.approvals, *more)
        print("", changed.text(), *more, "", sep="\n")
        saved = rollback.save(self.access, assembly, self._never_made)
        saved.write(self.folder)
        (self.folder / SUMMARY).write_text("\n\n".join((changed.markdown(), *more)) + "\n")
        (self.folder / APPROVAL).write_text("needed\n" if why else "none\n")
        what = f"what is deployed now ({len(saved.stacks)} stacks)" if saved.stacks else "that nothing is deployed yet"
        print(f"{self.folder} keeps {what}.", flush=True)
        return why

    def deploy(self, assembly: Assembly, cdk: Cdk) -> int:
        """Deploy the release and try it; returns the exit code. `check` has been before.

        Whatever fails, what was deployed before is put back, so nothing half-done stays. Only what the first deployment
        has made stays, as there is nothing to go back to. What is left of a stack whose creation failed the last time
        is removed first.

        Raises
        ------
        OpsError
            Another deployment is running, or has been since `check`.
        """
        if rollback.save(self.access, assembly, self._never_made) != Saved.read(self.folder, self.environment.name):
            raise OpsError(f"{self.environment.name} was changed by another deployment meanwhile: run it again.")
        for attempt in self.attempts:
            first_attempts.remove(self.access, attempt, say=print, wait=self.wait)
        before = rollback.described(self.access)
        self.deploying = True
        app = ("--app", str(assembly.folder.resolve()))
        pattern = f"{self.environment.name}/*"
        if cdk("deploy", pattern, *app, "--require-approval", "never", "--progress", "events", "--no-notices"):
            return self._failed(before)
        return self.verify()

    def verify(self) -> int:
        """Try the gateway, and put back what was deployed before if it fails; returns the exit code.

        Raises
        ------
        OpsError
            The smoke test could not be run, which says nothing of the release: it stays.
        """
        saved = Saved.read(self.folder, self.environment.name)
        self.deploying = True
        report = smoke(self.access)
        print(report.text(), flush=True)
        if report.passed:
            print(f"{self.environment.name} has the release.")
            return 0
        return _no(f"{self.environment.name} did not pass its smoke test ({_verdict(report)}){self._gone_back(saved)}.")

    def put_back(self) -> int:
        """Put back what was deployed before; returns the exit code."""
        saved = Saved.read(self.folder, self.environment.name)
        self.deploying = True
        outcome, verdict = self._restored(saved)
        return 1 if outcome.failed or verdict not in ("", PASSED) else 0

    def standing(self) -> str:
        """How things stand after an interruption or an error; nothing if no stack has been touched."""
        if not self.deploying:
            return ""
        name = self.environment.name
        go_back = f"deploy again, or go back with `python -m ops.release put-back --env {name} --before {self.folder}`."
        try:
            at_work = rollback.busy(rollback.described(self.access))
        except (OpsError, aws.BotoCoreError, aws.ClientError):
            return f" Some stacks of {name} may have the release, or be changing yet: look at them in CloudFormation."
        if at_work:
            states = ", ".join(f"{stack} ({state})" for stack, state in at_work.items())
            return f" CloudFormation goes on with {states}; once it has ended, {go_back}"
        return f" Some stacks of {name} may have the release; none is changing: {go_back}"

    @property
    def _never_made(self) -> tuple[str, ...]:
        return tuple(attempt.name for attempt in self.attempts)

    def _missing_secrets(self) -> list[str]:
        store = Store(self.environment, self.access.acting_as("lookup").client("ssm"))
        names = required_secrets(self.environment)
        there = store.parameters(names)
        return [name for name in names if name not in there or not there[name].is_secret]

    def _failed(self, before: Mapping[str, StackTypeDef]) -> int:
        """Put back the stacks before the one that failed, which CloudFormation has rolled back itself."""
        saved = Saved.read(self.folder, self.environment.name)
        cloudformation = self.access.acting_as("lookup").client("cloudformation")
        reasons = [
            f"{name}: {rollback.failure(cloudformation, name) or stack['StackStatus']}"
            for name, stack in rollback.described(self.access).items()
            if _has_failed(before.get(name), stack)
        ]
        what = "; ".join(reasons) or "before CloudFormation changed anything: the CDK CLI says above why"
        return _no(f"the deployment of {self.environment.name} failed ({what}){self._gone_back(saved)}.")

    def _gone_back(self, saved: Saved) -> str:
        """Put back what was deployed before, and say how that went."""
        if not saved.stacks:
            again = f"mend it, and run `make deploy ENV={self.environment.name}` again"
            return f"; nothing was deployed before that could be put back, so it stays as it is: {again}"
        outcome, verdict = self._restored(saved)
        ends = []
        if outcome.failed:
            ends.append(f"{', '.join(outcome.failed)} could not be put back, for the reason above")
        elif outcome.restored:
            ends.append("it was put back to what it was")
        elif not outcome.new:
            ends.append("it is what it was before the release")
        if outcome.new:
            ends.append(f"new, and kept: {', '.join(outcome.new)}")
        if verdict:
            ends.append(f"the smoke test says: {verdict}")
        return "".join(f"; {end}" for end in ends)

    def _restored(self, saved: Saved) -> tuple[PutBack, str]:
        """What came of putting back, and what the smoke test says now: nothing if there was none before."""
        print(f"Putting {self.environment.name} back to what was deployed before:", flush=True)
        outcome = rollback.put_back(self.access, saved, wait=self.wait)
        print(outcome.text(), flush=True)
        if f"litellm-{self.environment.name}-smoke" not in saved.names:
            return outcome, ""
        try:
            report = smoke(self.access)
        except OpsError as error:  # what has been put back is worth saying all the same
            print(error)
            return outcome, "it could not be run, for the reason above"
        print(report.text(), flush=True)
        return outcome, _verdict(report)


def _verdict(report: Report) -> str:
    failed = [check.name for check in report.checks if not check.passed]
    return f"{', '.join(failed)} failed" if failed else PASSED


def _always_approved(environment: Environment) -> tuple[str, ...]:
    releases = promotion()
    if not releases or environment.name not in releases.approved:
        return ()
    return (
        f"{environment.name} takes no release without a person's approval (releases() in company/environments.py).",
    )


def _has_failed(before: StackTypeDef | None, after: StackTypeDef) -> bool:
    """Whether a stack has been tried since, in vain."""
    if after["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        return False
    marks = ("StackId", "StackStatus", "LastUpdatedTime")
    return before is None or any(before.get(mark) != after.get(mark) for mark in marks)


def _no(sentence: str) -> int:
    print(f"release: {sentence}", file=sys.stderr)
    return 1


def approved(environment: Environment, why: Iterable[str], *, yes: bool) -> bool:
    """Whether a person approves: with --yes, or by typing the environment's name."""
    if yes or not why:
        return True
    name = environment.name
    if not sys.stdin.isatty():
        _no(f"{name} needs a person's approval: deploy on a terminal, or with --yes once somebody has approved.")
        return False
    try:
        typed = input(f"Type {name} to deploy: ")
    except EOFError:
        typed = ""
    if typed.strip() == name:
        return True
    _no(f"{name} was not approved, so nothing was deployed.")
    return False


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(prog="python -m ops.release", description=(__doc__ or "").split("\n\n")[0])
    steps = result.add_subparsers(dest="step", required=True, metavar="STEP")
    for step, what in (
        ("check", "tell what it changes, and keep what is deployed now"),
        ("deploy", "check, deploy and verify"),
        ("verify", "try the gateway, and put back what was deployed before if it fails"),
        ("put-back", "put back what was deployed before"),
    ):
        command = steps.add_parser(step, help=what, description=f"{what[0].upper()}{what[1:]}.")
        command.add_argument("--env", required=True, metavar="NAME", help="an environment of company/environments.py")
        command.add_argument(
            "--before", type=Path, required=step != "deploy", metavar="DIR", help="what was deployed before the release"
        )
        command.add_argument("--assume-roles", action="store_true", help="credentials are of the account that releases")
        if step in ("check", "deploy"):
            command.add_argument(
                "--app", type=Path, required=step == "check", metavar="DIR", help="the release: what `make synth` wrote"
            )
        if step == "deploy":
            command.add_argument("--yes", action="store_true", help="somebody has approved it")
    return result


def main(
    argv: list[str] | None = None,
    *,
    session: boto3.Session | None = None,
    cdk: Cdk = run_cdk,
    wait: rollback.Wait = rollback.five_seconds,
) -> int:
    """Run the command and return its exit code. Tests give the session, the CDK CLI and what waits."""
    arguments = parser().parse_args(argv)
    started: list[Release] = []

    def work() -> int:
        environment = environment_named(arguments.env)
        folder = arguments.before or CHECKOUT / ".cache" / "release" / environment.name
        access = connect(environment, session, assume_roles=arguments.assume_roles)
        release = Release(access, folder, wait)
        started.append(release)
        if arguments.step == "verify":
            return release.verify()
        if arguments.step == "put-back":
            return release.put_back()
        if arguments.app:
            assembly = Assembly.load(arguments.app)
        else:
            assembly = Assembly.synthesize((environment.name,), folder / "cdk.out")
        why = release.check(assembly)
        if why is None:
            return 1
        if arguments.step == "check":
            return 0
        return release.deploy(assembly, cdk) if approved(environment, why, yes=arguments.yes) else 1

    return run("release", work, done=lambda: "".join(release.standing() for release in started))


if __name__ == "__main__":
    sys.exit(main())
