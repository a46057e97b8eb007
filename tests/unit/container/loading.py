"""The image's modules, imported as LiteLLM does, on a stand-in for LiteLLM."""

import importlib.util
import json
import subprocess
import sys
import types
from collections.abc import Mapping
from typing import Any

import pytest

from stacks import CHECKOUT

CONTAINER = CHECKOUT / "container"
PYTHON = CHECKOUT / ".tools/litellm/bin/python"


def stand_in(monkeypatch: pytest.MonkeyPatch, parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Have modules with these names and contents for as long as the test runs."""
    for name, content in parts.items():
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        vars(sys.modules[name]).update(content)


def loaded(name: str) -> types.ModuleType:
    """The file of that name in `container/`, anew."""
    spec = importlib.util.spec_from_file_location(name, CONTAINER / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_litellm(script: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What a script of this folder makes of a document, in LiteLLM's own Python with the image's modules beside it."""
    if not PYTHON.exists():
        pytest.skip("LiteLLM is not installed in .tools/litellm; `make setup` installs it")
    done = subprocess.run(
        [PYTHON, CHECKOUT / "tests/unit/container" / script],
        input=json.dumps(asked),
        env={"PYTHONPATH": str(CONTAINER), "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
