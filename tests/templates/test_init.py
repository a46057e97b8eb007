"""What `make init` writes synthesizes, for companies as different as real ones."""

from pathlib import Path

import pytest

from ops.init.__main__ import main
from stacks import CHECKOUT
from stacks.company import load
from tests.company.synthesis import everything
from tests.unit.ops.test_init import OWN_CONFIG

ANSWERS = CHECKOUT / "tests" / "unit" / "ops" / "answers"


@pytest.mark.parametrize("name", sorted(file.stem for file in ANSWERS.iterdir()))
def test_it_synthesizes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    folder = tmp_path / "company"
    if name == "own-config":  # which stays as it is
        folder.mkdir()
        (folder / "config.yaml").write_text(OWN_CONFIG, "utf-8")
    assert main(["--answers", str(ANSWERS / f"{name}.yaml")], folder=folder) == 0
    own = load(folder)
    assert set(own.all) <= set(everything(own))
