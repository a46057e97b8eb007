"""The handlers that are one file, imported as Lambda does it."""

import importlib.util
import os
import sys
from types import ModuleType
from unittest import mock

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
