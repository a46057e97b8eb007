"""For every suite."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from local.gateway import LocalGateway
    from stacks.company import Company

# The templates' rules have a test of their own; elsewhere they would only take time. aws_cdk reads it when imported.
os.environ["CDK_VALIDATION"] = "false"
# The product's tests are of the example company; those of `tests/company` are of whoever has taken the checkout over.
os.environ.setdefault("COMPANY_UNDER_TEST", os.environ.get("COMPANY", ""))
os.environ["COMPANY"] = "tests/companies/tokyo"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A file's tests share what is costly, so one process has them all, unless a test names another group."""
    for item in items if config.pluginmanager.hasplugin("xdist") else []:
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


@pytest.fixture(scope="session")
def gateway_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Company], LocalGateway]]:
    """The running gateway of a company, one for all tests of a process; deployed as `make up` does."""
    from local.gateway import LocalGateway  # not for those who need none

    with ExitStack() as stack:
        running: dict[Path, LocalGateway] = {}

        def started(own: Company) -> LocalGateway:
            if own.folder not in running:
                state = tmp_path_factory.mktemp("gateway")
                running[own.folder] = stack.enter_context(LocalGateway(state, own=own, report=lambda _: None))
            return running[own.folder]

        yield started
