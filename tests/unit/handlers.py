"""The handlers that are one file, imported as Lambda does it."""

import importlib.util
import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
from botocore.stub import Stubber

from stacks import CHECKOUT

LAMBDA = CHECKOUT / "lambda"
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "ap-northeast-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
}


def load_handler(name: str) -> ModuleType:
    """The module of `lambda/<name>/handler.py`: with a region, and no package around it."""
    spec = importlib.util.spec_from_file_location(f"{name}_handler", LAMBDA / name / "handler.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up by name.
    with mock.patch.dict(os.environ, ENVIRONMENT), mock.patch.dict(sys.modules, {spec.name: module}):
        spec.loader.exec_module(module)
    return module


def stub_of(client: str) -> Any:  # noqa: ANN401 - pytest's fixtures have no common type
    """A fixture: what this client of the module's `handler` fixture is answered, all of which has to be asked for."""

    @pytest.fixture
    def stub(handler: ModuleType) -> Iterator[Stubber]:
        with Stubber(getattr(handler, client)) as stubber:
            yield stubber
            stubber.assert_no_pending_responses()

    return stub
