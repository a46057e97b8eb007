"""local/gateway.py: what a start takes over from earlier ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.gateway import LocalGateway
from ops import remembered
from stacks import CHECKOUT
from stacks.company import company


@pytest.mark.parametrize(("checkout", "times"), [(CHECKOUT, 1), (CHECKOUT / "elsewhere", 3)])
def test_this_checkouts_are_synthesized_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkout: Path, times: int
) -> None:
    """Those of another checkout may be of other files."""
    monkeypatch.setattr(remembered, "FOLDER", tmp_path / "remembered")
    synthesized: list[str] = []

    def synth(_: LocalGateway, *arguments: str) -> None:
        folder = Path(arguments[arguments.index("--output") + 1])
        folder.mkdir(exist_ok=True)
        (folder / "manifest.json").write_text("{}")
        synthesized.append(arguments[0])

    monkeypatch.setattr(LocalGateway, "_cdk", synth)
    for name in ("one", "other", "one"):  # the last finds what an earlier start has left
        gateway = LocalGateway(tmp_path / name, own=company(), checkout=checkout)
        gateway._synthesize()
        assert (tmp_path / name / "cdk.out" / "manifest.json").read_text() == "{}"
    assert synthesized == ["synth"] * times
