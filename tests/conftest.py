"""For every suite."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

from stacks import CHECKOUT
from tests.unchanged import Unchanged

if TYPE_CHECKING:
    from local.gateway import LocalGateway
    from stacks.company import Company

# The templates' rules have a test of their own; elsewhere they would only take time. aws_cdk reads it when imported.
os.environ["CDK_VALIDATION"] = "false"
# The product's tests are of the example company; those of `tests/company` are of whoever has taken the checkout over.
os.environ.setdefault("COMPANY_UNDER_TEST", os.environ.get("COMPANY", ""))
os.environ["COMPANY"] = "tests/companies/tokyo"
# As in the Makefile, for who calls pytest without it: what is synthesized in another process too finds it unpacked.
os.environ.setdefault("JSII_RUNTIME_PACKAGE_CACHE_ROOT", str(CHECKOUT / ".cache" / "jsii"))


RUNNING = ("tests/e2e/", "tests/company/e2e/")  # these files' tests share the running gateway of a process
# These have gateways of their own, and take longest of all.
PROMOTION, ADOPTION = ALONE = ("tests/others/test_promotion.py", "tests/others/test_adoption.py")
WAITING = {"tests", "tests/e2e", "tests/others", "tests/unit"}  # much of the time: for gateways, or for parts of them
MEMORY = 4 * 1024**3  # bytes for a process that may run a whole gateway and a browser


def pytest_addoption(parser: pytest.Parser) -> None:
    """An option of this checkout's."""
    parser.addoption("--changed", action="store_true", help="leave out files of tests that passed, and nothing changed")


def pytest_configure(config: pytest.Config) -> None:
    """Whole files only, in the order that they are in: what is chosen by a word is run."""
    if config.option.changed and not (config.option.keyword or config.option.markexpr or config.option.collectonly):
        config.pluginmanager.register(Unchanged(config), "unchanged")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported to collect is needed to the end: nobody looks through it for what may go, then or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def runs_a_gateway(scope: str) -> bool:
    """Whether a file's tests need the running gateway that a process has for all its files."""
    return scope.startswith(RUNNING)


def next_of(waiting: Sequence[str], *, has_gateway: bool, gateways: int, processes: int) -> str:
    """What a process takes next of what waits.

    To start a gateway takes as long as most files that need one: half of the processes have one, and take all those
    files. The others begin with what takes longest. Nobody waits: where nothing else is left, a process takes what is.
    """
    running = [scope for scope in waiting if runs_a_gateway(scope)]
    others = sorted(
        (scope for scope in waiting if not runs_a_gateway(scope)),
        key=lambda scope: next((number for number, file in enumerate(ALONE) if scope.startswith(file)), len(ALONE)),
    )
    may = has_gateway or gateways < (processes + 1) // 2
    return next(iter((*running, *others) if may else (*others, *running)))


class ByFile(LoadFileScheduling):  # type: ignore[misc]
    """A file's tests share what is costly, so one process has them all; adoptions share nothing, and spread."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        return nodeid if file == ADOPTION else file

    def _assign_work_unit(self, node: Any) -> None:  # noqa: ANN401 - xdist's own
        have = [each for each, scopes in self.assigned_work.items() if any(map(runs_a_gateway, scopes))]
        chosen = next_of(
            [*self.workqueue], has_gateway=node in have, gateways=len(have), processes=len(self.assigned_work)
        )
        self.workqueue.move_to_end(chosen, last=False)
        super()._assign_work_unit(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:  # noqa: ANN401 - xdist's own
    """Who gets which test (`-n 2 --dist loadfile`)."""
    return ByFile(config, log)


@cache  # two hooks ask, and it reads what every emulator has written
def _unused_permissions(config: pytest.Config) -> list[str]:
    """What the deployed roles may do and never did, once all end-to-end tests have run; nothing before."""
    chosen = config.option.keyword or config.option.markexpr or config.option.collectonly
    if hasattr(config, "workerinput") or chosen or not {"tests", "tests/e2e"} & set(config.args):
        return []
    from tests.e2e.permissions import unexplained  # not for those who need none

    return unexplained(Path(config._tmp_path_factory.getbasetemp()))  # type: ignore[attr-defined]  # pytest's own


@cache
def _leaks(config: pytest.Config) -> list[str]:
    """What nobody is to see, in what the gateways of the end-to-end tests have told and logged."""
    if hasattr(config, "workerinput") or config.option.collectonly:
        return []
    folder = Path(config._tmp_path_factory.getbasetemp())  # type: ignore[attr-defined]  # pytest's own
    if not any((*folder.glob("gateway*"), *folder.glob("popen-*/gateway*"))):  # see `gateway_of`
        return []
    from tests.e2e.told import leaks  # not for those who need none

    return leaks(folder)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail the run for what only all tests together show.

    That is a permission that was never used, and has no reason to be there (least privilege, measured), and a prompt,
    an answer, a secret or an address in what a gateway has told or logged.
    """
    if exitstatus == pytest.ExitCode.OK and (_unused_permissions(session.config) or _leaks(session.config)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell of each such permission, and of each such place."""
    for title, lines in (
        ("permissions that were never used", _unused_permissions(config)),
        ("what nobody is to see", _leaks(config)),
    ):
        if lines:
            terminalreporter.section(title)
            for line in lines:
                terminalreporter.line(line)


@pytest.hookimpl(wrapper=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> Generator[None, int, int]:
    """One process more than xdist's own number (`-n auto`) where some of them wait."""
    number = yield
    return processes(number, psutil.virtual_memory().total) if WAITING & {*config.args} else number


def processes(number: int, memory: int) -> int:
    """One more, if there is memory for that many."""
    return max(number, min(number + 1, memory // MEMORY))


@pytest.fixture(scope="session")
def gateway_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Company], LocalGateway]]:
    """The running gateway of a company, one for all tests of a process; deployed as `make up` does."""
    from local.gateway import LocalGateway  # not for those who need none
    from tests.e2e import told

    with ExitStack() as stack:
        running: dict[Path, LocalGateway] = {}

        def started(own: Company) -> LocalGateway:
            if own.folder not in running:
                state = tmp_path_factory.mktemp("gateway")
                running[own.folder] = stack.enter_context(LocalGateway(state, own=own, report=lambda _: None))
                stack.callback(told.write, running[own.folder])
            return running[own.folder]

        yield started
