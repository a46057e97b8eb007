"""ops/assembly.py: the assembly on disk, and what is deployed."""

import json
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError

from ops import assembly
from ops.access import OpsError
from ops.assembly import Assembly, deployed_stack, deployed_template, stacks_of
from stacks.company import environments
from tests.unit.ops.assemblies import Deployed, recorded, write

MINIMAL: dict[str, Any] = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}


def session(deployed: Deployed) -> boto3.Session:
    return cast("boto3.Session", deployed)


def test_stacks_come_behind_those_that_they_depend_on(tmp_path: Path) -> None:
    backwards = dict(reversed(recorded().items()))
    names = [stack.id for stack in write(tmp_path / "out", {"dev": backwards}).stacks("dev")]
    assert set(names) == {f"dev/{stack}" for stack in backwards}
    order = {name: place for place, name in enumerate(names)}
    assert order["dev/Network"] < order["dev/Database"] < order["dev/Gateway"] < order["dev/Usage"]
    assert order["dev/Email"] < order["dev/Gateway"]


def test_a_stack_knows_how_it_is_deployed(tmp_path: Path) -> None:
    found = write(tmp_path / "out", {"dev": recorded(), "stg": recorded("stg")}, protected=("Database",))
    assert found.environments() == ("dev", "stg")
    stack = next(stack for stack in found.stacks("stg") if stack.id == "stg/Database")
    assert (stack.name, stack.account, stack.region) == ("litellm-stg-database", "111111111111", "ap-northeast-1")
    assert stack.execution_role == "arn:aws:iam::111111111111:role/cfn-exec"
    assert stack.tags == {"service": "litellm-gateway", "environment": "stg"}
    assert stack.depends_on == ("litellm-stg-network",)
    assert stack.termination_protection
    assert stack.template() == recorded("stg")["Database"]


def test_the_template_of_a_relative_folder_is_found_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "out", {"dev": {"Network": MINIMAL}})
    monkeypatch.chdir(tmp_path)
    (stack,) = Assembly.load(Path("out")).stacks("dev")
    monkeypatch.chdir("/")
    assert stack.template() == MINIMAL


def test_no_assembly(tmp_path: Path) -> None:
    with pytest.raises(OpsError, match="is not a synthesized assembly: run make synth"):
        Assembly.load(tmp_path)


def test_a_manifest_that_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"artifacts": ')
    with pytest.raises(OpsError, match="cannot be read as JSON: synthesize again"):
        Assembly.load(tmp_path)


def test_a_template_that_is_gone(tmp_path: Path) -> None:
    (stack,) = write(tmp_path / "out", {"dev": {"Network": MINIMAL}}).stacks("dev")
    stack.template_file.unlink()
    with pytest.raises(OpsError, match="cannot be read as JSON"):
        stack.template()


def test_no_stacks_of_the_environment(tmp_path: Path) -> None:
    with pytest.raises(OpsError, match="has no stacks of prod: synthesize it with -c environments=prod"):
        write(tmp_path / "out", {"dev": {"Network": MINIMAL}}).stacks("prod")


# --- Synthesis ------------------------------------------------------------------------------------------------------


def cli(folder: Path, program: str) -> Path:
    """A checkout whose CDK CLI is `program`."""
    file = folder / "node_modules" / "aws-cdk" / "bin" / "cdk"
    file.parent.mkdir(parents=True)
    file.write_text(program)
    return folder


def test_synthesizes_the_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = """
        const fs = require('fs'), [,, ...given] = process.argv, out = given[given.indexOf('--output') + 1];
        fs.mkdirSync(out);
        fs.writeFileSync(`${out}/manifest.json`, JSON.stringify({artifacts: {}}));
        fs.writeFileSync(`${out}/arguments.json`, JSON.stringify(given));
    """
    monkeypatch.setattr(assembly, "CHECKOUT", cli(tmp_path, program))
    found = Assembly.synthesize(["dev", "stg"], tmp_path / "out")
    assert found.folder == (tmp_path / "out").resolve()
    given = json.loads((found.folder / "arguments.json").read_text())
    assert given == ["synth", "--quiet", "--output", str(tmp_path / "out"), "-c", "environments=dev,stg"]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            "Bundling asset …\nerror: dev: domain: is not set: it has no default\nstg: domain: is not set\n"
            ".venv/bin/python app.py: Subprocess exited with error 1\n",
            "the synthesis failed: dev: domain: is not set: it has no default\nstg: domain: is not set",
        ),
        ("Cannot find module 'x'\n", "the synthesis failed: Cannot find module 'x'"),
        ("", "the synthesis failed: it said nothing; run make synth to see why."),
    ],
)
def test_a_synthesis_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, sentence: str) -> None:
    program = f"process.stderr.write({json.dumps(said)}); process.exitCode = 1"
    monkeypatch.setattr(assembly, "CHECKOUT", cli(tmp_path, program))
    with pytest.raises(OpsError) as error:
        Assembly.synthesize(["dev"], tmp_path / "out")
    assert str(error.value) == sentence


def test_no_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "CHECKOUT", tmp_path)
    with pytest.raises(OpsError, match="run make setup"):
        Assembly.synthesize(["dev"], tmp_path / "out")


# --- What is deployed -----------------------------------------------------------------------------------------------


def test_what_is_deployed() -> None:
    deployed = Deployed()
    deployed.templates = {"litellm-dev-network": MINIMAL, "litellm-dev-old": "Resources: {}", "CDKToolkit": MINIMAL}
    text = deployed_template(session(deployed), "litellm-dev-network")
    assert text == json.dumps(MINIMAL, indent=1)
    assert deployed_template(session(deployed), "litellm-dev-old") == "Resources: {}"  # not JSON: as it is
    assert deployed_template(session(deployed), "litellm-dev-email") is None
    known = stacks_of(session(deployed).client("cloudformation"), environments()["dev"])
    assert [*known] == ["litellm-dev-network", "litellm-dev-old"]


@pytest.mark.parametrize("state", ["REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"])
def test_a_stack_without_resources_is_none(state: str) -> None:
    deployed = Deployed()
    deployed.templates["litellm-dev-network"] = MINIMAL
    deployed.states["litellm-dev-network"] = state
    assert deployed_stack(session(deployed), "litellm-dev-network") is None
    assert deployed_template(session(deployed), "litellm-dev-network") is None


def test_other_errors_of_cloudformation_are_no_missing_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    deployed = Deployed()

    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DescribeStacks")

    monkeypatch.setattr(deployed, "describe_stacks", refuse)
    with pytest.raises(ClientError, match="AccessDenied"):
        deployed_template(session(deployed), "litellm-dev-network")
