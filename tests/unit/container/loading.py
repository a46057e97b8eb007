"""The image's modules, imported as LiteLLM does, on a stand-in for LiteLLM."""

import importlib.util
import sys
import types
from collections.abc import Mapping
from typing import Any

import pytest

from stacks import CHECKOUT

CONTAINER = CHECKOUT / "container"


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
