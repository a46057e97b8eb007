"""What `make init` writes synthesizes, for companies as different as real ones."""

from pathlib import Path

import aws_cdk as cdk
import pytest

import app
from ops.init.__main__ import main
from stacks import CHECKOUT
from stacks.company import LOCAL, load
from stacks.environment_stage import EnvironmentStage
from tests.company.synthesis import context, image_of
from tests.unit.ops.test_init import OWN_CONFIG

ANSWERS = CHECKOUT / "tests" / "unit" / "ops" / "answers"


@pytest.mark.parametrize("name", sorted(file.stem for file in ANSWERS.iterdir()))
def test_it_synthesizes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a release, with what promotes it; and the local run, which builds its own image."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    folder = tmp_path / "company"
    if name == "own-config":  # which stays as it is
        folder.mkdir()
        (folder / "config.yaml").write_text(OWN_CONFIG, "utf-8")
    assert main(["--answers", str(ANSWERS / f"{name}.yaml")], folder=folder) == 0
    own = load(folder)
    cdk_app = cdk.App(context=context(image=image_of(own)), outdir=str(tmp_path / "cdk.out"))
    app.build(cdk_app, own)
    EnvironmentStage(cdk_app, environment=own.local, config_file=own.config, releases=own.releases)
    assembly = cdk_app.synth()
    assert all(assembly.get_nested_assembly(f"assembly-{each}").stacks for each in own.all)
    assert LOCAL in own.all
    assert bool(assembly.stacks) == (own.releases is not None)
