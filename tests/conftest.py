"""Keeps tests that share something costly on one worker of pytest-xdist (`--dist loadgroup`)."""

import os
from pathlib import Path

import pytest

# The templates' rules have a test of their own; elsewhere they would only take time. aws_cdk reads it when imported.
os.environ["CDK_VALIDATION"] = "false"

TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group all e2e tests (one running gateway), and each module of the template tests (one synthesis)."""
    for item in items:
        suite = item.path.relative_to(TESTS).parts[0]
        if suite == "e2e":
            item.add_marker(pytest.mark.xdist_group("e2e"))
        elif suite == "templates":
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
