"""What a person sees who made mistakes: a line for each on standard error, and no traceback."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

import app
from stacks import CHECKOUT
from stacks.company import EXAMPLE, load


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A copy of the example company's files, to make mistakes in."""
    shutil.copytree(EXAMPLE, tmp_path / "company", ignore=shutil.ignore_patterns("__pycache__", "snapshots"))
    return tmp_path / "company"


Refusal = Callable[..., str]


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], own: Path) -> Refusal:
    """What `app.py` ends with, here and not in a process of its own, which takes seconds until it reads a setting."""

    def refused(environments: str = "dev", **context: str) -> str:
        outdir = own.with_name("cdk.out")
        given = {"environments": environments, **context}
        of_cli = functools.partial(cdk.App, context=given, outdir=str(outdir))
        monkeypatch.setattr(app, "company", lambda: load(own))
        monkeypatch.setattr(cdk, "App", of_cli)
        with pytest.raises(SystemExit) as end:
            app.main()
        assert capfd.readouterr().out == ""
        assert not (outdir / "manifest.json").exists()
        return str(end.value.code)

    return refused


def _change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_a_mistake_is_one_line_and_nothing_is_written(tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "CDK_OUTDIR": str(tmp_path / "cdk.out"),
        "CDK_CONTEXT_JSON": json.dumps({"environments": "production"}),
        "COMPANY": str(EXAMPLE.relative_to(CHECKOUT)),
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": os.environ["JSII_RUNTIME_PACKAGE_CACHE_ROOT"],
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    run = subprocess.run(
        [sys.executable, "app.py"], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.rstrip("\n") == (
        "error: there is no environment 'production': company/environments.py has dev, stg, prod, local"
    )
    assert not (tmp_path / "cdk.out" / "manifest.json").exists()


def test_an_image_that_is_not_named_by_its_digest(refusal: Refusal) -> None:
    image = "444444444444.dkr.ecr.ap-northeast-1.amazonaws.com/litellm-gateway:latest"
    assert refusal(image=image) == (
        f"error: image: '{image}' is not an image of Amazon ECR by its digest: give it as "
        "-c image=ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME@sha256:…"
    )


def test_releases_to_an_environment_that_there_is_not(own: Path, refusal: Refusal) -> None:
    releases = 'workspace="T0123456789",\n        channel="C0RELEASE89"'
    _change(own / "environments.py", releases, 'environments=("qa",), approved=()')
    assert refusal(environments="") == (
        "error: releases: environments has qa, which company/environments.py does not define: it has dev, stg, prod"
    )


def test_settings_that_cannot_work(own: Path, refusal: Refusal) -> None:
    _change(own / "environments.py", 'cidr="10.10.0.0/16"', 'cidr="10.10.0.0/16", nat_gateways=9')
    assert refusal() == "error: dev: network: nat_gateways is 9 for 2 zones: use one per zone at most"


def test_mistakes_in_the_list_of_models_are_told_at_once(own: Path, refusal: Refusal) -> None:
    """Also one that an environment has alone: there, nothing provides what the file refers to."""
    config = own / "config.yaml"
    _change(config, "aws_region_name: us-west-2", "aws_region_name: us-west-9")
    _change(config, "num_retries: 3", "num_retires: 3")
    _change(config, 'api_version: "2025-04-01-preview"', "api_version: os.environ/AZURE_VERSION")
    version = 'name="dev",\n        variables={"AZURE_VERSION": "2025-04-01-preview"},'
    _change(own / "environments.py", 'name="dev",', version)
    first, second, third = refusal(environments="dev,stg").splitlines()
    assert re.fullmatch(
        rf"error: {config}: line \d+: model_list entry 1 \(claude-opus-5-5\): aws_region_name 'us-west-9' .*", first
    )
    assert re.fullmatch(rf"{config}: line \d+: router_settings: unknown key 'num_retires': .* 'num_retries'\.", second)
    assert re.fullmatch(
        rf"{config}: line \d+: model_list entry \d+ \(gpt-6.1-sol\).*: nothing provides AZURE_VERSION: .* \(in stg\)\.",
        third,
    )


def test_constructs_that_are_no_valid_ones() -> None:
    """The CDK's words for an empty statement of a policy, which a run would have kept for itself."""
    construct = cdk.App()
    role = iam.Role(cdk.Stack(construct, "S"), "R", assumed_by=iam.AnyPrincipal())
    role.add_to_policy(iam.PolicyStatement(actions=[], resources=["*"]))
    with pytest.raises(RuntimeError) as refusal:
        construct.synth()
    assert app.what_is_invalid(refusal.value) == (
        "S/R/DefaultPolicy: A PolicyStatement must specify at least one 'action' or 'notAction'."
    )
