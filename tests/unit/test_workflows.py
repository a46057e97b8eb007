"""The workflows of GitHub: what checkers say, what they may do, what they deploy, and that what they call is there."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops import changes, github, release
from stacks import CHECKOUT
from stacks.company import environments, promotion
from stacks.settings import WORKFLOW_BRANCH, Releases

FOLDER = CHECKOUT / ".github" / "workflows"
TOOLS = Path(sys.executable).parent
SHELLCHECK = shutil.which("shellcheck", path=f"{TOOLS}:{os.environ['PATH']}") or "shellcheck"
FOUND = promotion()
assert FOUND
RELEASES: Releases = FOUND
ON: Any = True  # what YAML reads `on` as


def _workflow(name: str) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load((FOLDER / f"{name}.yml").read_text())
    return loaded


FILES = sorted(FOLDER.glob("*.yml"))
WORKFLOWS = {file.stem: _workflow(file.stem) for file in FILES}
JOBS = {(name, key): job for name, workflow in WORKFLOWS.items() for key, job in workflow["jobs"].items()}
STEPS = [(*place, step) for place, job in JOBS.items() for step in job.get("steps", ())]
SCRIPTS = [(workflow, job, step["name"], step["run"]) for workflow, job, step in STEPS if "run" in step]
CALLERS = {key: job for key, job in WORKFLOWS["promote"]["jobs"].items() if job.get("uses", "").endswith("deploy.yml")}


def _step(workflow: str, job: str, name: str) -> dict[str, Any]:
    (found,) = (step for step in JOBS[workflow, job]["steps"] if step["name"] == name)
    return dict(found)


# --- What checkers say ------------------------------------------------------------------------------------------------


def _actionlint(folder: Path, files: str) -> subprocess.CompletedProcess[str]:
    script = CHECKOUT / "node_modules" / "@tktco" / "node-actionlint" / "bin" / "node-actionlint.js"
    command: list[str | Path] = [TOOLS / "node", script, files]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def test_actionlint_finds_nothing() -> None:
    run = _actionlint(CHECKOUT, ".github/workflows/*.yml")
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"Checking {len(FILES)} workflow file(s)" in run.stdout


def test_actionlint_can_find_something(tmp_path: Path) -> None:
    text = (FOLDER / "test.yml").read_text()
    found = (
        ("runs-on: ubuntu-24.04\n", "runs-on: ubuntu-30.04\n", 'label "ubuntu-30.04" is unknown'),
        ("run: .ci/run", "run: echo ${{ github.head_ref }}", "potentially untrusted"),
        ("run: .ci/run", "run: echo ${{ steps.none.outputs.x }}", 'property "none" is not defined'),
        ("timeout-minutes", "timeout-hours", 'unexpected key "timeout-hours"'),
    )
    for number, (old, new, _) in enumerate(found):
        assert old in text
        (tmp_path / f"bad-{number}.yml").write_text(text.replace(old, new))
    run = _actionlint(tmp_path, "*.yml")
    assert run.returncode == 1
    for number, (_, _, says) in enumerate(found):
        assert re.search(rf"bad-{number}\.yml.*{re.escape(says)}", run.stdout), says


def test_zizmor_finds_nothing() -> None:
    command: list[str | Path] = [
        TOOLS / "zizmor",
        "--offline",
        "--no-progress",
        "--persona=auditor",
        CHECKOUT / ".github",
    ]
    run = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(("workflow", "job", "name", "script"), SCRIPTS, ids=lambda each: str(each).partition("\n")[0])
def test_shellcheck(workflow: str, job: str, name: str, script: str) -> None:
    run = subprocess.run(
        [SHELLCHECK, "--shell=bash", "-"],
        input=f"set -e\n{script}",  # as GitHub runs it
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, f"{workflow}, {job}, {name}:\n{run.stdout}"


# --- What is trusted --------------------------------------------------------------------------------------------------


def test_actions_are_pinned_by_commit_with_their_version() -> None:
    pins: dict[str, set[str]] = {}
    for file in FILES:
        for used in re.findall(r"^ *(?:- )?uses: (.*)$", file.read_text(), re.MULTILINE):
            if used.startswith("./"):
                assert (CHECKOUT / used).is_file(), used
                continue
            pin = re.fullmatch(r"([\w-]+/[\w-]+)@[0-9a-f]{40} # v\d+\.\d+\.\d+", used)
            assert pin, f"{file.name}: {used}"
            pins.setdefault(pin[1], set()).add(used)
    assert pins.keys() == {
        *(f"actions/{name}" for name in ("cache", "checkout", "download-artifact", "upload-artifact")),
        "aws-actions/configure-aws-credentials",
    }
    assert all(len(found) == 1 for found in pins.values()), "one version of each"


READS = {"contents": "read"}
SIGNS_IN = READS | {"id-token": "write"}
DEPLOYS = SIGNS_IN | {"actions": "read"}
PERMISSIONS = {
    ("test", "test"): READS,
    ("test", "others"): READS,
    ("portability", "laptop"): READS,
    ("portability", "root"): READS,
    ("portability", "archive"): READS,
    ("nightly", "search"): READS,
    ("nightly", "agents"): READS,
    ("audit", "packages"): READS,
    ("audit", "templates"): READS,
    ("nightly", "soak"): READS,
    ("pull-request", "test"): READS,
    ("pull-request", "changes"): READS,
    ("pull-request", "comment"): {"pull-requests": "write"},
    ("promote", "settings"): READS,
    ("promote", "test"): READS,
    ("promote", "image"): SIGNS_IN,
    ("promote", "assembly"): READS,
    ("promote", "earlier"): {"actions": "read"},
    **{("promote", name): DEPLOYS for name in github.JOBS},
    ("deploy", "check"): DEPLOYS,
    ("deploy", "deploy"): DEPLOYS,
}


def test_every_job_has_the_permissions_that_it_needs() -> None:
    assert {place: job.get("permissions") for place, job in JOBS.items()} == PERMISSIONS
    assert all(workflow["permissions"] == {} for workflow in WORKFLOWS.values())


def test_what_starts_the_workflows() -> None:
    """Nothing that gives a fork's code secrets, or a token that writes."""
    started = {
        name: {workflow[ON]} if isinstance(workflow[ON], str) else workflow[ON].keys()
        for name, workflow in WORKFLOWS.items()
    }
    assert started == {
        "test": {"workflow_call"},
        "deploy": {"workflow_call"},
        "portability": {"pull_request", "schedule", "workflow_dispatch"},
        "nightly": {"schedule", "workflow_dispatch"},
        "audit": {"pull_request", "schedule", "workflow_dispatch"},
        "pull-request": {"pull_request"},
        "promote": {"push", "workflow_dispatch"},
    }


def test_no_secret_and_no_key() -> None:
    for file in FILES:
        assert not re.search(r"secrets\.|secrets: inherit|access-key|ACCESS_KEY", file.read_text()), file.name
    for _, _, step in STEPS:
        if step.get("uses", "").startswith("aws-actions/"):
            assert {"role-to-assume", "aws-region", "role-session-name"} <= step["with"].keys()


def test_the_token_is_not_left_to_what_follows() -> None:
    found = [step for _, _, step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert found
    assert all(step["with"]["persist-credentials"] is False for step in found)


@pytest.mark.parametrize(("workflow", "job", "name", "script"), SCRIPTS, ids=lambda each: str(each).partition("\n")[0])
def test_values_reach_scripts_by_their_environment_only(workflow: str, job: str, name: str, script: str) -> None:
    assert "${{" not in script, f"{workflow}, {job}, {name}"


def test_what_a_pull_request_s_code_can_reach() -> None:
    """It runs beside a token that reads; the job whose token may comment has none of it."""
    comment = JOBS["pull-request", "comment"]
    assert not [step for step in comment["steps"] if "checkout" in step.get("uses", "")]
    assert comment["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
    others = [job for (workflow, key), job in JOBS.items() if workflow in ("pull-request", "test") and key != "comment"]
    assert all(set(job["permissions"].values()) == {"read"} for job in others)


def test_every_job_ends() -> None:
    assert all("timeout-minutes" in job for job in JOBS.values() if "steps" in job)


# --- Where it is tried ------------------------------------------------------------------------------------------------


def test_both_commands_are_run_on_every_machine_with_every_python() -> None:
    laptop = JOBS["portability", "laptop"]
    matrix = laptop["strategy"]["matrix"]
    assert matrix["machine"] == ["ubuntu-24.04", "ubuntu-24.04-arm", "macos-15"]
    some, every = (json.loads(found) for found in re.findall(r"'(\[.*?\])'", matrix["python"]))
    assert every == [f"3.{minor}" for minor in range(11, 15)]
    assert {*some} < {*every}
    for job, run in (
        ("laptop", ['"$PYTHON" -m tests.up', "make test"]),
        ("root", ["sudo python3 -m tests.up", "sudo .ci/run"]),
    ):
        assert [_step("portability", job, name)["run"] for name in ("make up", "make test")] == run
    given = [step["name"] for step in laptop["steps"] if "PYTHON" in step.get("env", {})]
    assert given == ["Install what Linux on ARM lacks", "make up", "make test"]


def test_it_runs_where_there_is_no_clone_and_nothing_of_a_person() -> None:
    steps = {step["name"]: step for step in JOBS["portability", "archive"]["steps"]}
    (archive,) = [step for name, step in steps.items() if name.startswith("Take")]
    assert re.search(r'git archive HEAD \| tar -x -C "(\S+)"$', archive["run"])
    assert steps["make test"]["run"].splitlines() == [
        'cd "$RUNNER_TEMP/archive"',
        "umask 077",
        'env -i PATH="$PATH" TZ=Pacific/Kiritimati setsid --wait .ci/run </dev/null',
    ]


# --- What is deployed -------------------------------------------------------------------------------------------------


def test_one_caller_for_each_environment_that_the_settings_may_have() -> None:
    assert tuple(CALLERS) == github.JOBS
    for name, job in CALLERS.items():
        assert job["uses"] == "./.github/workflows/deploy.yml"
        environment = f"${{{{ needs.settings.outputs.{name} }}}}"
        assert job["with"] == {"environment": environment, "run": "${{ inputs.run || github.run_id }}"}
    for before, name in pairwise(github.JOBS):
        assert CALLERS[name]["needs"] == ["settings", before]


def test_only_the_branch_of_the_settings_is_released() -> None:
    assert RELEASES.branch == WORKFLOW_BRANCH
    assert WORKFLOWS["promote"][ON]["push"]["branches"] == [RELEASES.branch]
    for job in ("settings", "earlier"):
        assert JOBS["promote", job]["if"].startswith(f"github.ref == 'refs/heads/{RELEASES.branch}' && ")


def test_no_account_region_or_role_is_repeated() -> None:
    known = {RELEASES.account, *(environment.account for environment in environments().values())}
    regions = {RELEASES.region, *(environment.region for environment in environments().values())}
    for file in FILES:
        assert not [each for each in (*known, *regions, RELEASES.repository) if each in file.read_text()], file.name


def test_tested_built_and_synthesized_once_before_the_first_environment() -> None:
    jobs = WORKFLOWS["promote"]["jobs"]
    first = github.JOBS[0]
    needed: set[str] = set()
    waiting = [first]
    while waiting:
        needs = jobs[waiting.pop()].get("needs", [])
        found = {needs} if isinstance(needs, str) else set(needs)
        waiting += found - needed
        needed |= found
    assert needed == {"settings", "test", "image", "assembly", "earlier"}
    scripts = [script for workflow, _, _, script in SCRIPTS if workflow in ("promote", "deploy")]
    assert len([script for script in scripts if "cdk synth" in script]) == 1
    assert len([script for script in scripts if "build-image.sh" in script]) == 1


def test_what_is_deployed_is_the_assembly_that_was_kept() -> None:
    """By the run's number, and whole: an artifact by itself keeps neither modes nor hidden files."""
    kept = _step("promote", "assembly", "Keep the release")["with"]
    assert kept["path"] == "release.tar"
    assert "tar -cf release.tar cdk.out" in _step("promote", "assembly", "Synthesize")["run"]
    for job, unpacked_in in (("check", "Check"), ("deploy", "See that nothing else was deployed meanwhile")):
        fetched = _step("deploy", job, "Fetch the release")["with"]
        assert fetched == {"name": kept["name"], "run-id": "${{ inputs.run }}", "github-token": "${{ github.token }}"}
        assert _step("deploy", job, unpacked_in)["run"].startswith("tar -xf release.tar\n")
    assert not [script for workflow, _, _, script in SCRIPTS if workflow == "deploy" and "synth" in script]


def test_one_deployment_at_a_time_in_an_environment() -> None:
    assert WORKFLOWS["deploy"]["concurrency"] == {
        "group": "deploy-${{ inputs.environment }}",
        "cancel-in-progress": False,
    }


def test_a_newer_commit_ends_the_checks_of_a_pull_request() -> None:
    assert WORKFLOWS["pull-request"]["concurrency"] == {
        "group": "pull-request-${{ github.event.pull_request.number }}",
        "cancel-in-progress": True,
    }


def test_the_check_decides_in_which_github_environment_the_deployment_runs() -> None:
    assert JOBS["deploy", "check"]["environment"] == "${{ inputs.environment }}"
    assert JOBS["deploy", "deploy"]["environment"] == "${{ needs.check.outputs.environment }}"
    assert JOBS["deploy", "check"]["outputs"]["environment"] == "${{ steps.check.outputs.environment }}"
    assert JOBS["deploy", "deploy"]["needs"] == "check"


def test_a_deployment_s_credentials_last_as_long_as_its_job() -> None:
    signed_in = _step("deploy", "deploy", "Sign in to AWS")["with"]
    assert signed_in["role-duration-seconds"] == JOBS["deploy", "deploy"]["timeout-minutes"] * 60


Results = dict[str, str]


def _runs(job: str, results: Results, names: Mapping[str, str]) -> bool:
    """Whether a caller's condition holds; of GitHub's expressions, what these use."""
    condition = JOBS["promote", job]["if"].replace("!cancelled()", "True").replace("&&", "and").replace("||", "or")
    condition = re.sub(r"needs\.settings\.outputs\.(\w+)", lambda found: repr(names[found[1]]), condition)
    condition = re.sub(r"needs\.(\w+)\.result", lambda found: repr(results[found[1]]), condition)
    assert not re.search(r"[$!](?!=)|\b(github|vars|needs|inputs)\b", condition), condition
    return bool(eval(condition, {"__builtins__": {}}))  # noqa: S307 - our own workflow


def _deployed(failing: str = "", run: str = "", environment: str = "all") -> list[str]:
    """The environments that a run deploys to, one after the other."""
    results = {"assembly": "skipped" if run else "success", "earlier": "success" if run else "skipped"}
    if failing in results:
        results[failing] = "failure"
    names = github.targets(RELEASES, environment, again=bool(run))
    reached = []
    for job, name in names.items():
        results[job] = "skipped"
        if _runs(job, results, names):
            reached.append(name)
            results[job] = "failure" if name == failing else "success"
    return reached


@pytest.mark.parametrize(
    ("inputs", "reached"),
    [
        ({}, ["dev", "stg", "prod"]),  # a push
        ({"environment": "all"}, ["dev", "stg", "prod"]),
        ({"environment": "dev"}, ["dev"]),
        ({"environment": "stg"}, ["dev", "stg"]),
        ({"environment": "prod"}, ["dev", "stg", "prod"]),
        ({"run": "17", "environment": "all"}, ["dev", "stg", "prod"]),
        ({"run": "17", "environment": "dev"}, ["dev"]),
        ({"run": "17", "environment": "stg"}, ["stg"]),
        ({"run": "17", "environment": "prod"}, ["prod"]),
    ],
    ids=lambda each: "-".join(each.values()) or "push" if isinstance(each, dict) else "",
)
def test_where_a_release_goes(inputs: dict[str, str], reached: list[str]) -> None:
    assert _deployed(**inputs) == reached


@pytest.mark.parametrize(
    ("failing", "inputs", "reached"),
    [
        ("assembly", {}, []),
        ("earlier", {"run": "17", "environment": "all"}, []),
        ("earlier", {"run": "17", "environment": "prod"}, []),
        ("dev", {}, ["dev"]),
        ("stg", {}, ["dev", "stg"]),
        ("dev", {"run": "17", "environment": "all"}, ["dev"]),
    ],
)
def test_a_failure_ends_it(failing: str, inputs: dict[str, str], reached: list[str]) -> None:
    assert _deployed(failing, **inputs) == reached


# --- What they call ---------------------------------------------------------------------------------------------------


def _commands() -> Iterator[tuple[str, list[str]]]:
    """The modules of ops that scripts run, with their arguments, the variables as they stand."""
    for _, _, _, script in SCRIPTS:
        for line in script.replace("\\\n", " ").splitlines():
            if found := re.search(r"python -m (ops\.\w+)(.*)", line):
                yield found[1], shlex.split(re.split(r" (?:>|\|\|)", found[2])[0])


def test_the_modules_are_there_and_take_the_arguments() -> None:
    commands = list(_commands())
    assert {module for module, _ in commands} == {"ops.changes", "ops.github", "ops.release"}
    assert all(find_spec(module) for module, _ in commands)
    parsers = {"ops.changes": changes.parser, "ops.release": release.parser, "ops.github": github.parser}
    for module, arguments in commands:
        parsers[module]().parse_args(arguments)
    steps = [arguments for module, arguments in commands if module == "ops.release"]
    assert [arguments[0] for arguments in steps] == ["check", "check", "deploy"]
    assert all("--assume-roles" in arguments for arguments in steps)


def test_the_files_and_targets_are_there() -> None:
    makefile = (CHECKOUT / "Makefile").read_text().replace("$(UV):", ".tools/uv/bin/uv:")
    called = {word for *_, script in SCRIPTS for word in re.findall(r"(?<![\w/$])(?:\.ci|container)/[\w.-]+", script)}
    assert called == {".ci/run", "container/build-image.sh"}
    assert all(os.access(CHECKOUT / name, os.X_OK) for name in called)
    for *_, script in SCRIPTS:
        for line in re.findall(r"^make (.*)$", script, re.MULTILINE):
            words = [word for word in re.sub(r"-C \S+", "", line).split() if not word.startswith("-")]
            assert words
            for target in words:
                assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), target


def test_caches_are_by_the_lock_files() -> None:
    keys = [step["with"]["key"] for _, _, step in STEPS if step.get("uses", "").startswith("actions/cache@")]
    assert len(set(keys)) == 1
    for pattern in re.findall(r"'([^']+)'", keys[0]):
        assert list(CHECKOUT.glob(pattern)), pattern
    assert not [job for workflow, job, step in STEPS if workflow == "deploy" and "cache@" in step.get("uses", "")]


def test_what_the_workflows_read_of_the_settings_is_printed() -> None:
    read: dict[str, set[str]] = {}
    for file in FILES:
        found = re.findall(r"steps\.settings\.outputs\.([\w-]+)", file.read_text())
        if found:
            read[file.stem] = set(found)
    assert read == {
        "promote": github.of_build(RELEASES).keys(),
        "deploy": github.of_environment(RELEASES, "dev").keys(),
    }


# --- What the settings say --------------------------------------------------------------------------------------------


def test_where_a_release_is_built() -> None:
    account, region = RELEASES.account, RELEASES.region
    assert github.of_build(RELEASES) == {
        "region": region,
        "role": f"arn:aws:iam::{account}:role/litellm-github-build",
        "repository": f"{account}.dkr.ecr.{region}.amazonaws.com/litellm-gateway",
    }


@pytest.mark.parametrize("name", RELEASES.environments)
def test_where_a_release_is_deployed(name: str) -> None:
    environment = environments()[name]
    assert github.of_environment(RELEASES, name) == {
        "region": environment.region,
        "check-role": f"arn:aws:iam::{environment.account}:role/litellm-{name}-github-check",
        "deploy-role": f"arn:aws:iam::{environment.account}:role/litellm-{name}-github",
        "environment": f"{name}-approval" if name in RELEASES.approved else name,
        "approval": f"{name}-approval",
    }


def _printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], releases: Releases | None, *arguments: str
) -> tuple[int, str, str]:
    monkeypatch.setattr(github, "promotion", lambda: releases)
    code = github.main([*arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_lines_for_github_output(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    on = RELEASES.model_copy(update={"github_actions": True})
    code, out, err = _printed(monkeypatch, capsys, on, "environment", "dev")
    assert (code, err) == (0, "")
    assert dict(line.split("=", 1) for line in out.splitlines()) == github.of_environment(RELEASES, "dev")


@pytest.mark.parametrize(
    ("changed", "arguments", "says"),
    [
        ({}, ["build"], "GitHub Actions promote nothing: set github_actions"),
        ({"github_actions": True}, ["environment", "local"], "no release goes to local:"),
        ({"github_actions": True}, ["environment", "qa"], "there is no environment qa:"),
        (
            {"github_actions": True},
            ["targets", "--where", "qa"],
            "no release goes to qa: name one of dev, stg, prod, or",
        ),
    ],
)
def test_a_mistake_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, bool],
    arguments: list[str],
    says: str,
) -> None:
    code, out, err = _printed(monkeypatch, capsys, RELEASES.model_copy(update=changed), *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"github: {says}")
    assert len(err.splitlines()) == 1


def test_nobody_releases(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = _printed(monkeypatch, capsys, None, "build")
    assert (code, out) == (2, "")
    assert "releases()" in err


# --- Their scripts, run with GitHub's and our commands played ---------------------------------------------------------


COMMIT = "c" * 40


@dataclass
class Runner:
    """A checkout to run a step's script in, as GitHub does, with `gh` and our Python commands played."""

    folder: Path

    def command(self, name: str, script: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'#!/bin/bash\nprintf "%s\\n" "{file.name} $*" >>"{self.folder}/calls"\n{script}\n')
        file.chmod(0o755)

    def run(self, workflow: str, job: str, name: str, **values: str) -> subprocess.CompletedProcess[str]:
        step = _step(workflow, job, name)
        set_by_github = {"GITHUB_OUTPUT": "output", "GITHUB_STEP_SUMMARY": "summary"}
        given = step.get("env", {}).keys() | JOBS[workflow, job].get("env", {}).keys() | {"RUNNER_TEMP"}
        assert values.keys() <= given, "the step is given nothing else"
        return subprocess.run(
            ["/bin/bash", "-e", "-c", step["run"]],
            cwd=self.folder,
            env={
                "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin:/sbin",  # the last: sha256sum on macOS
                "GITHUB_REPOSITORY": "example/litellm-gateway",
                "GITHUB_SHA": COMMIT,
                **{key: str(self.folder / file) for key, file in set_by_github.items()},
                **values,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def read(self, name: str) -> str:
        file = self.folder / name
        return file.read_text() if file.exists() else ""

    @property
    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.read("output").splitlines())


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def _comment(runner: Runner, existing: str) -> list[str]:
    """The calls of GitHub's API, once a comment was to be written and these comments of ours were there."""
    runner.command("bin/gh", f'case "$*" in *--paginate*) printf "{existing}" ;; esac')
    run = runner.run("pull-request", "comment", "Comment, or mend the comment", NUMBER="7", GH_TOKEN="-")
    assert run.returncode == 0, run.stderr
    return [line for line in runner.read("calls").splitlines() if line.startswith("gh ")]


def test_the_first_comment(runner: Runner) -> None:
    (runner.folder / "changes.md").write_text("### dev: nothing changes\n")
    looked, wrote = _comment(runner, "")
    assert "repos/example/litellm-gateway/issues/7/comments --jq" in looked
    assert wrote == (
        "gh api --silent --method POST repos/example/litellm-gateway/issues/7/comments --field body=@comment.md"
    )
    assert runner.read("comment.md") == "<!-- changes of the templates -->\n### dev: nothing changes\n"


def test_a_later_commit_mends_the_comment(runner: Runner) -> None:
    (runner.folder / "changes.md").write_text("### dev: 1 of 9 stacks changes\n")
    _, wrote = _comment(runner, "4711\\n4712\\n")
    assert "--method PATCH repos/example/litellm-gateway/issues/comments/4711 " in wrote


def test_a_comment_is_no_longer_than_github_takes(runner: Runner) -> None:
    (runner.folder / "changes.md").write_text("x" * 100_000)
    _comment(runner, "")
    assert 60_000 < len(runner.read("comment.md")) <= 65_536


@pytest.mark.parametrize(
    ("code", "passes"), [(0, True), (1, True), (2, False)], ids=["no approval", "approval", "error"]
)
def test_what_needs_approval_is_shown_and_is_no_failure(runner: Runner, code: int, passes: bool) -> None:
    runner.command(".venv/bin/python", f"echo text of {code}; exit {code}")
    run = runner.run("pull-request", "changes", "Compare", RUNNER_TEMP="/runner")
    assert (run.returncode == 0) is passes
    assert runner.read("calls") == (
        "python -m ops.changes --from /runner/base/cdk.out --to cdk.out --format markdown\n"
    )
    assert runner.read("summary") == (f"text of {code}\n" if passes else "")


def _check(runner: Runner, job: str, name: str, approval: str, summary: str = "what changes\n", **values: str) -> int:
    """Run a step that checks a release, whose answer is this."""
    (runner.folder / "cdk.out").mkdir()
    (runner.folder / "cdk.out" / "manifest.json").write_text("{}")
    subprocess.run(["/usr/bin/env", "tar", "-cf", "release.tar", "cdk.out"], cwd=runner.folder, check=True, timeout=300)
    (runner.folder / "cdk.out" / "manifest.json").unlink()
    runner.command(
        ".venv/bin/python",
        f"[ -f cdk.out/manifest.json ] || exit 2\nmkdir before\nprintf '{summary}' >before/summary.md\n"
        f"echo {approval} >before/approval\n" + ("exit 1" if approval == "missing" else ""),
    )
    return runner.run("deploy", job, name, ENVIRONMENT="dev", **values).returncode


@pytest.mark.parametrize(
    ("approval", "unasked", "waits"),
    [
        ("none", "dev", "dev"),
        ("needed", "dev", "dev-approval"),
        ("none", "dev-approval", "dev-approval"),
        ("needed", "dev-approval", "dev-approval"),
    ],
)
def test_where_a_deployment_waits(runner: Runner, approval: str, unasked: str, waits: str) -> None:
    assert _check(runner, "check", "Check", approval, UNASKED=unasked, ASKED="dev-approval") == 0
    assert runner.outputs["environment"] == waits
    assert re.fullmatch(r"[0-9a-f]{64} +-", runner.outputs["summary"])
    assert runner.read("summary") == "what changes\n"
    assert runner.read("calls") == (
        "python -m ops.release check --env dev --app cdk.out --before before --assume-roles\n"
    )


def test_missing_secrets_end_it_before_anybody_is_asked(runner: Runner) -> None:
    assert _check(runner, "check", "Check", "missing", UNASKED="dev", ASKED="dev-approval") == 1
    assert runner.outputs == {}


@pytest.mark.parametrize(
    ("approval", "asked", "passes"),
    [
        ("needed", "what changes\n", True),
        ("needed", "something else\n", False),
        ("none", "something else\n", True),  # nobody had to be asked for this
    ],
)
def test_what_is_deployed_is_what_was_approved(
    runner: Runner, tmp_path_factory: pytest.TempPathFactory, approval: str, asked: str, passes: bool
) -> None:
    first = Runner(tmp_path_factory.mktemp("check"))
    assert _check(first, "check", "Check", "needed", asked, UNASKED="dev", ASKED="dev-approval") == 0
    step = "See that nothing else was deployed meanwhile"
    code = _check(runner, "deploy", step, approval, SUMMARY=first.outputs["summary"])
    assert (code == 0) is passes


@pytest.mark.parametrize(
    ("answer", "passes"),
    [
        ("echo branch_policy; echo required_reviewers", True),
        ("echo branch_policy", False),
        ("echo 'gh: Not Found (HTTP 404)' >&2; exit 1", False),
    ],
    ids=["reviewers", "no reviewers", "no environment"],
)
def test_an_environment_for_approval_must_have_reviewers(runner: Runner, answer: str, passes: bool) -> None:
    runner.command("bin/gh", answer)
    run = runner.run(
        "deploy", "check", "See that somebody approves", ENVIRONMENT="prod", ASKED="prod-approval", GH_TOKEN="-"
    )
    assert (run.returncode == 0) is passes
    if not passes:
        assert (
            "::error::prod needs a person's approval, but the repository's environment prod-approval has no"
            in run.stdout
        )
    (called,) = runner.read("calls").splitlines()
    assert called.startswith("gh api repos/example/litellm-gateway/environments/prod-approval ")


OF_PROMOTE = ".github/workflows/promote.yml"


@pytest.mark.parametrize(
    ("number", "made", "passes"),
    [
        ("17", f"{OF_PROMOTE} push example/litellm-gateway main", True),
        ("17", f"{OF_PROMOTE} workflow_dispatch example/litellm-gateway main", True),
        ("17", f"{OF_PROMOTE} pull_request somebody/litellm-gateway main", False),
        ("17", f"{OF_PROMOTE} push somebody/litellm-gateway main", False),
        ("17", f"{OF_PROMOTE} workflow_dispatch example/litellm-gateway feature", False),
        ("17", ".github/workflows/other.yml push example/litellm-gateway main", False),
        ("17", "", False),
        ("17/../18", f"{OF_PROMOTE} push example/litellm-gateway main", False),
    ],
)
def test_only_a_run_that_released_main_is_released_again(runner: Runner, number: str, made: str, passes: bool) -> None:
    runner.command("bin/gh", f'echo "{made}"')
    run = runner.run("promote", "earlier", "See that it made a release", RUN=number, GH_TOKEN="-")
    assert (run.returncode == 0) is passes
    assert ("::error::" in run.stdout) is not passes
    assert number.isdigit() or not runner.read("calls")


@pytest.mark.parametrize("code", [0, 1])
def test_the_image_is_named_by_its_digest(runner: Runner, code: int) -> None:
    digest, repository = f"sha256:{'a' * 64}", github.of_build(RELEASES)["repository"]
    runner.command("container/build-image.sh", f"echo {digest}; exit {code}")
    assert runner.run("promote", "image", "Build, scan and push", REPOSITORY=repository).returncode == code
    assert runner.read("calls") == f"build-image.sh {repository} {COMMIT} bom.json\n"
    assert runner.outputs == ({} if code else {"image": f"{repository}@{digest}"})
