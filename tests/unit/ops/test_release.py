"""ops/release.py: its steps against a CloudFormation in memory, a CDK CLI and a smoke test that a test makes up."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import boto3
import pytest

from ops import release, rollback
from ops.access import Access, OpsError
from ops.assembly import Assembly
from ops.first_attempts import Attempt
from ops.secrets import required_secrets
from ops.smoke import Check, Report
from stacks.settings import Releases
from tests.unit.ops.fake_cloudformation import DEV, FakeAws, assembly, template

NETWORK, GATEWAY, SMOKE = "litellm-dev-network", "litellm-dev-gateway", "litellm-dev-smoke"
OLD = {NETWORK: template(vpc="1"), GATEWAY: template(task="1"), SMOKE: template(function="1")}
NEW = {NETWORK: template(vpc="2"), GATEWAY: template(task="2"), SMOKE: template(function="2")}


@dataclass(frozen=True)
class Changes:
    """The summary of `ops.changes`, as far as it is used here."""

    approvals: tuple[str, ...] = ()

    def text(self) -> str:
        return "what changes"

    def markdown(self) -> str:
        return "# what changes"


def _report(good: bool) -> Report:
    checks = (Check("health", True, "it answered", 0.1), Check("completion by azure", good, "asked", 0.1))
    return Report("dev", checks, url="https://llm.dev.example.com")


@dataclass
class Releasing:
    """Runs the command, with everything outside it in memory."""

    fake: FakeAws
    folder: Path
    app: Path
    capsys: pytest.CaptureFixture[str]
    changes: Changes = field(default_factory=Changes)
    answers: Callable[[], bool] = lambda: True  # whether the gateway answers well
    typed: list[str] = field(default_factory=list)
    secrets: set[str] = field(default_factory=lambda: set(required_secrets(DEV)))
    cdk_calls: list[tuple[str, ...]] = field(default_factory=list)
    new: Callable[[], int] = lambda: 0  # what the CDK CLI does
    out: str = ""
    err: str = ""

    def __call__(self, step: str, *arguments: str) -> int:
        given = ["--app", str(self.app)] if step in ("check", "deploy") else []
        code = release.main(
            [step, "--env", "dev", "--before", str(self.folder), *given, *arguments],
            session=cast("boto3.Session", self.fake),
            cdk=self.cdk,
            wait=self.fake.tick,
        )
        self.out, self.err = self.capsys.readouterr()
        return code

    def cdk(self, *arguments: str) -> int:
        self.cdk_calls.append(arguments)
        return self.new()

    def deployed(self) -> None:
        """As if an earlier release had been deployed."""
        for name, body in OLD.items():
            self.fake.deploy(name, body)

    def releases(self) -> int:
        """Deploy every stack of the new release, all well."""
        for name, body in NEW.items():
            stack = self.fake.stacks.get(name) or self.fake.deploy(name, {})
            stack.template = body
        return 0

    def removes(self, access: Access, attempt: Attempt, **_: object) -> None:
        """What is left of a stack, in place of the clients of the services that protect something."""
        assert access.environment == DEV
        del self.fake.stacks[attempt.name]

    def only_old_answers(self) -> None:
        """The new gateway does not answer well; that of before does."""
        self.answers = lambda: self.fake.stacks[GATEWAY].template == OLD[GATEWAY]


class _Store:
    def __init__(self, releasing: Releasing) -> None:
        self.releasing = releasing

    def parameters(self, names: tuple[str, ...]) -> dict[str, "_Store"]:
        return {name: self for name in names if name in self.releasing.secrets}

    is_secret = True


@pytest.fixture
def releasing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Releasing:
    app = assembly(tmp_path / "cdk.out", "Network", "Gateway", "Smoke")
    made = Releasing(FakeAws(), tmp_path / "before", app, capsys)

    def of_deployment(access: Access, assembly: Assembly) -> Changes:
        assert (access.environment, assembly.folder) == (DEV, app)
        return made.changes

    monkeypatch.setattr("ops.changes.of_deployment", of_deployment)
    monkeypatch.setattr("ops.first_attempts.remove", made.removes)
    monkeypatch.setattr(release, "smoke", lambda _: _report(made.answers()))
    monkeypatch.setattr(release, "Store", lambda *_: _Store(made))
    monkeypatch.setattr(release, "promotion", lambda: None)
    monkeypatch.setattr("builtins.input", lambda _: made.typed.pop(0))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: bool(made.typed))
    return made


# --- check ----------------------------------------------------------------------------------------------------------


def test_check_keeps_what_is_deployed_and_tells_what_changes(releasing: Releasing) -> None:
    releasing.deployed()
    assert releasing("check") == 0
    saved = rollback.Saved.read(releasing.folder, "dev")
    assert {stack.name: json.loads(stack.template) for stack in saved.stacks} == OLD
    assert (releasing.folder / "approval").read_text() == "none\n"
    assert (releasing.folder / "summary.md").read_text() == "# what changes\n"
    assert releasing.out.splitlines() == [
        "dev: account 111111111111, ap-northeast-1",
        "Secrets: every one is present.",
        "",
        "what changes",
        "",
        f"{releasing.folder} keeps what is deployed now (3 stacks).",
    ]


def test_check_tells_whether_a_person_has_to_approve(releasing: Releasing) -> None:
    releasing.changes = Changes(approvals=("a role may do more", "a table is replaced"))
    assert releasing("check") == 0
    assert (releasing.folder / "approval").read_text() == "needed\n"
    assert "keeps that nothing is deployed yet" in releasing.out


def test_some_environments_always_need_approval(releasing: Releasing, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Releases(
        account="444444444444",
        repository="example/litellm-gateway",
        environments=("dev",),
        approved=("dev",),
        github_actions=True,
        emails=("sre@example.com",),
    )
    monkeypatch.setattr(release, "promotion", lambda: settings)
    assert releasing("check") == 0
    assert (releasing.folder / "approval").read_text() == "needed\n"
    sentence = "dev takes no release without a person's approval (releases() in company/environments.py)."
    assert sentence in releasing.out
    assert sentence in (releasing.folder / "summary.md").read_text()


def test_missing_secrets_stop_it_before_anything_is_kept(releasing: Releasing) -> None:
    releasing.secrets -= {"AZURE_API_KEY", "UI_PASSWORD"}
    assert releasing("deploy", "--yes") == 1
    assert "Secrets missing: AZURE_API_KEY, UI_PASSWORD. Store them with `make secrets ENV=dev`." in releasing.out
    assert not releasing.folder.exists()
    assert releasing.cdk_calls == []


def test_another_deployment_stops_it(releasing: Releasing) -> None:
    releasing.deployed()
    releasing.fake.stacks[GATEWAY].status = "UPDATE_IN_PROGRESS"
    assert releasing("check") == 2
    assert "another deployment is at work on litellm-dev-gateway" in releasing.err


def test_credentials_of_another_account_are_refused(releasing: Releasing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releasing.fake, "get_caller_identity", lambda: {"Account": "999999999999"})
    assert releasing("check") == 2
    assert "these AWS credentials are of account 999999999999" in releasing.err


# --- deploy ---------------------------------------------------------------------------------------------------------


def test_a_release_is_deployed_and_tried(releasing: Releasing) -> None:
    releasing.deployed()
    releasing.new = releasing.releases
    assert releasing("deploy") == 0
    (arguments,) = releasing.cdk_calls
    assert arguments[:4] == ("deploy", "dev/*", "--app", str(releasing.app))
    assert releasing.fake.templates() == NEW
    assert releasing.out.endswith("The smoke test passed, for 0.000000 USD.\ndev has the release.\n")


@pytest.mark.parametrize(("typed", "code"), [(["dev"], 0), (["yes"], 1)])
def test_a_person_approves_by_typing_the_name(releasing: Releasing, typed: list[str], code: int) -> None:
    releasing.changes = Changes(approvals=("a role may do more",))
    releasing.typed = typed
    assert releasing("deploy") == code
    assert len(releasing.cdk_calls) == 1 - code


def test_without_a_terminal_nobody_approves_unless_told(releasing: Releasing) -> None:
    releasing.changes = Changes(approvals=("a role may do more",))
    assert releasing("deploy") == 1
    assert releasing.err == (
        "release: dev needs a person's approval: deploy on a terminal, or with --yes once somebody has approved.\n"
    )
    assert releasing.cdk_calls == []
    assert releasing("deploy", "--yes") == 0


def test_a_release_that_answers_badly_is_put_back(releasing: Releasing) -> None:
    releasing.deployed()
    releasing.new = releasing.releases
    releasing.only_old_answers()
    assert releasing("deploy") == 1
    assert releasing.fake.templates() == OLD
    assert [update["StackName"] for update in releasing.fake.updates] == [SMOKE, GATEWAY, NETWORK]
    assert releasing.err == (
        "release: dev did not pass its smoke test (completion by azure failed); it was put back to what "
        "it was; the smoke test says: passed.\n"
    )
    failed = releasing.out.index("The smoke test failed: completion by azure.")
    assert failed < releasing.out.index("litellm-dev-gateway: put back")
    assert releasing.out.endswith("The smoke test passed, for 0.000000 USD.\n")


def test_a_failed_deployment_leaves_nothing_half_done(releasing: Releasing) -> None:
    releasing.deployed()

    def fails() -> int:
        releasing.fake.stacks[NETWORK].template = NEW[NETWORK]
        gateway = releasing.fake.stacks[GATEWAY]
        gateway.update(NEW[GATEWAY], failing="the database migration failed (exit code 3)", resource="Migration")
        while gateway.steps:
            releasing.fake.tick()
        return 1

    releasing.new = fails
    assert releasing("deploy") == 1
    assert releasing.fake.templates() == OLD
    assert releasing.err == (
        "release: the deployment of dev failed (litellm-dev-gateway: Migration: the database migration failed "
        "(exit code 3)); it was put back to what it was; the smoke test says: passed.\n"
    )


def test_a_second_attempt_at_the_first_deployment_keeps_what_it_makes(releasing: Releasing) -> None:
    releasing.fake.deploy(NETWORK, OLD[NETWORK])
    releasing.new = releasing.releases
    releasing.answers = lambda: False
    assert releasing("deploy") == 1
    assert releasing.fake.templates() == NEW | {NETWORK: OLD[NETWORK]}
    assert "; new, and kept: litellm-dev-gateway, litellm-dev-smoke.\n" in releasing.err


def test_what_changed_while_a_person_thought_is_not_deployed_over(
    releasing: Releasing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def types_late(_: str) -> str:
        releasing.releases()
        return "dev"

    releasing.deployed()
    releasing.changes = Changes(approvals=("a role may do more",))
    releasing.typed = ["dev"]
    monkeypatch.setattr("builtins.input", types_late)
    assert releasing("deploy") == 2
    assert releasing.err == "release: dev was changed by another deployment meanwhile: run it again.\n"
    assert releasing.cdk_calls == []


def test_a_deployment_that_never_began_is_said(releasing: Releasing) -> None:
    releasing.deployed()
    releasing.fake.stacks[SMOKE].status = "UPDATE_ROLLBACK_COMPLETE"  # of long ago
    releasing.new = lambda: 1
    assert releasing("deploy") == 1
    assert "failed (before CloudFormation changed anything" in releasing.err
    assert "it is what it was before the release; the smoke test says: passed" in releasing.err


def test_the_first_deployment_has_nothing_to_go_back_to(releasing: Releasing) -> None:
    def fails() -> int:
        releasing.fake.deploy(NETWORK, NEW[NETWORK])
        gateway = releasing.fake.deploy(GATEWAY, NEW[GATEWAY], status="ROLLBACK_COMPLETE")
        gateway.event("CREATE_IN_PROGRESS")
        gateway.event("CREATE_FAILED", "no such certificate", "Listener")
        gateway.event("ROLLBACK_COMPLETE")
        return 1

    releasing.new = fails
    assert releasing("deploy") == 1
    assert set(releasing.fake.stacks) == {NETWORK, GATEWAY}
    assert "failed (litellm-dev-gateway: Listener: no such certificate); nothing was deployed before" in releasing.err
    assert releasing.err.endswith("mend it, and run `make deploy ENV=dev` again.\n")


def test_a_first_deployment_that_failed_is_tried_again_by_the_same_command(releasing: Releasing) -> None:
    """What is left of the stack is told, removed once somebody approves, and made anew."""
    releasing.fake.deploy(NETWORK, NEW[NETWORK])
    releasing.fake.deploy(GATEWAY, NEW[GATEWAY], status="ROLLBACK_FAILED")
    assert releasing("deploy") == 1
    assert "dev needs a person's approval" in releasing.err
    assert "litellm-dev-gateway was never made as a whole (ROLLBACK_FAILED)" in releasing.out
    assert GATEWAY in releasing.fake.stacks
    releasing.typed = ["dev"]
    gone: list[bool] = []

    def deploys() -> int:
        gone.append(GATEWAY not in releasing.fake.stacks)
        return releasing.releases()

    releasing.new = deploys
    assert releasing("deploy") == 0
    assert gone == [True]
    assert releasing.fake.templates() == NEW


def test_what_cannot_be_put_back_is_named(releasing: Releasing) -> None:
    releasing.deployed()
    releasing.new = releasing.releases
    releasing.fake.failures[GATEWAY] = ("Service", "the image is gone")
    releasing.only_old_answers()
    assert releasing("deploy") == 1
    assert "litellm-dev-gateway: not put back: Service: the image is gone" in releasing.out
    assert releasing.err.endswith(
        "; litellm-dev-gateway could not be put back, for the reason above; the smoke test says: completion by azure "
        "failed.\n"
    )


# --- verify and put-back --------------------------------------------------------------------------------------------


def test_verify_puts_back_what_check_has_kept(releasing: Releasing) -> None:
    releasing.deployed()
    assert releasing("check") == 0
    releasing.releases()
    releasing.only_old_answers()
    assert releasing("verify") == 1
    assert releasing.fake.templates() == OLD


def test_a_gateway_from_before_there_was_a_smoke_test_is_put_back_without_one(releasing: Releasing) -> None:
    releasing.deployed()
    del releasing.fake.stacks[SMOKE]
    assert releasing("check") == 0
    releasing.releases()
    releasing.answers = lambda: False
    assert releasing("verify") == 1
    assert releasing.err == (
        "release: dev did not pass its smoke test (completion by azure failed); it was put back to what "
        "it was; new, and kept: litellm-dev-smoke.\n"
    )
    assert "litellm-dev-smoke: stays, though it is new" in releasing.out


def test_a_smoke_test_that_cannot_be_run_after_putting_back_hides_nothing(
    releasing: Releasing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(_: Access) -> Report:
        if releasing.fake.stacks[GATEWAY].template == OLD[GATEWAY]:
            raise OpsError("AWS refused to run litellm-dev-smoke.")
        return _report(False)

    releasing.deployed()
    assert releasing("check") == 0
    releasing.releases()
    monkeypatch.setattr(release, "smoke", refuses)
    assert releasing("verify") == 1
    assert "AWS refused to run litellm-dev-smoke." in releasing.out
    assert releasing.err.endswith(
        "it was put back to what it was; the smoke test says: it could not be run, for the reason above.\n"
    )


def test_verify_without_what_was_deployed_before_is_refused(releasing: Releasing) -> None:
    assert releasing("verify") == 2
    assert "give the folder of `python -m ops.release check --env dev --before …`" in releasing.err


def test_put_back_after_an_interruption(releasing: Releasing) -> None:
    releasing.deployed()

    def interrupted() -> int:
        releasing.fake.stacks[NETWORK].template = NEW[NETWORK]
        releasing.fake.stacks[GATEWAY].update(NEW[GATEWAY])
        raise KeyboardInterrupt

    releasing.new = interrupted
    assert releasing("deploy") == 130
    assert releasing.err == (
        "release: interrupted. CloudFormation goes on with litellm-dev-gateway (UPDATE_IN_PROGRESS); once it has "
        f"ended, deploy again, or go back with `python -m ops.release put-back --env dev --before {releasing.folder}`."
        "\n"
    )
    assert releasing("put-back") == 0
    assert releasing.fake.templates() == OLD
    assert releasing.out.endswith("The smoke test passed, for 0.000000 USD.\n")


def test_an_interruption_before_the_deployment_has_changed_nothing(
    releasing: Releasing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ops.changes.of_deployment", interrupted)
    assert releasing("deploy") == 130
    assert releasing.err == "release: interrupted.\n"


def test_an_error_while_releasing_says_how_things_stand(releasing: Releasing, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(_: Access) -> Report:
        raise OpsError("the smoke function does not answer.")

    releasing.deployed()
    releasing.new = releasing.releases
    monkeypatch.setattr(release, "smoke", unreachable)
    assert releasing("deploy") == 2
    assert releasing.err.startswith(
        "release: the smoke function does not answer. Some stacks of dev may have the release; none is changing: "
    )
