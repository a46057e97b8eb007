"""What a person sees who made a mistake: one line on standard error, and no traceback."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stacks import CHECKOUT
from stacks.company import EXAMPLE, OWN


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what `app.py` reads, to make mistakes in."""
    shutil.copy(CHECKOUT / "app.py", tmp_path)
    for folder in ("stacks", "container", "lambda"):
        shutil.copytree(CHECKOUT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    own = shutil.copytree(EXAMPLE, tmp_path / "company", ignore=shutil.ignore_patterns("__pycache__", "snapshots"))
    assert own == tmp_path / OWN.relative_to(CHECKOUT)
    return tmp_path


def _refusal(copy: Path, environments: str = "dev", **context: str) -> str:
    """The one line that synthesizing writes to standard error."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(copy),
        "CDK_OUTDIR": str(copy / "cdk.out"),
        "CDK_CONTEXT_JSON": json.dumps({"environments": environments} | context),
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": os.environ["JSII_RUNTIME_PACKAGE_CACHE_ROOT"],
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    run = subprocess.run(
        [sys.executable, "app.py"], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert run.stdout == ""
    assert not (copy / "cdk.out" / "manifest.json").exists()
    (line,) = run.stderr.splitlines()
    return line


def _change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_unknown_environment(copy: Path) -> None:
    assert _refusal(copy, environments="production") == (
        "error: there is no environment 'production': company/environments.py has dev, stg, prod, local"
    )


def test_an_image_that_is_not_named_by_its_digest(copy: Path) -> None:
    image = "444444444444.dkr.ecr.ap-northeast-1.amazonaws.com/litellm-gateway:latest"
    assert _refusal(copy, image=image) == (
        f"error: image: '{image}' is not an image of Amazon ECR by its digest: give it as "
        "-c image=ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME@sha256:…"
    )


def test_releases_to_an_environment_that_there_is_not(copy: Path) -> None:
    _change(
        copy / "company" / "environments.py",
        'workspace="T0123456789",\n        channel="C0RELEASE89"',
        'environments=("qa",), approved=()',
    )
    assert _refusal(copy, environments="") == (
        "error: releases: environments has qa, which company/environments.py does not define: it has dev, stg, prod"
    )


def test_settings_that_cannot_work(copy: Path) -> None:
    _change(copy / "company" / "environments.py", 'cidr="10.10.0.0/16"', 'cidr="10.10.0.0/16", nat_gateways=9')
    assert _refusal(copy) == "error: dev: network: nat_gateways is 9 for 2 zones: use one per zone at most"


def test_mistake_in_the_list_of_models(copy: Path) -> None:
    config = copy / "company" / "config.yaml"
    _change(config, "aws_region_name: us-west-2", "aws_region_name: us-west-9")
    line = _refusal(copy)
    assert line.startswith(f"error: {config}: model_list entry 1 (claude-opus-5-5): ")
    assert "'us-west-9' is not a region" in line
