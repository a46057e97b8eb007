"""tests/unchanged.py: a file of tests is left out if it passed with all that it depends on, and only then."""

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ops import remembered
from ops.remembered import PRODUCT
from stacks import CHECKOUT
from tests.unchanged import EVERYBODY, HASHED, PROGRAMS, SNAPSHOTS, Reads, imports, inputs

READER = '''"""Reads once for all who ask."""

from functools import cache

from stacks import CHECKOUT


@cache
def text() -> str:
    return (CHECKOUT / "docs" / "a.md").read_text()
'''
ASKS = """from ops.reader import text


def test() -> None:
    assert "right" in text()
"""
BEGINS = """import subprocess
from threading import Thread


def run() -> None:
    subprocess.run(["true"])


def begin() -> None:
    thread = Thread(target=run)
    thread.start()
    thread.join()
"""
FILES = {
    ".gitignore": ".cache/\n__pycache__/\n.pytest_cache/\n",
    "docs/a.md": "right",
    "docs/b.md": "of nobody",
    "ops/__init__.py": "",
    "ops/reader.py": READER,
    "tests/unit/__init__.py": "",
    "tests/unit/test_a.py": ASKS,
    "tests/unit/test_b.py": ASKS,
    "tests/unit/test_alone.py": "class TestAlone:\n    def test(self) -> None:\n        assert True\n",
    "tests/unit/test_starts.py": "import subprocess\n\n\ndef test() -> None:\n    subprocess.run(['true'])\n",
    "tests/unit/test_skips.py": "import pytest\n\n\ndef test() -> None:\n    pytest.skip('no such program here')\n",
}
OURS = ("pyproject.toml", "stacks/__init__.py", *(f"tests/{name}.py" for name in ("__init__", "conftest", "checkout")))


class Checkout:
    """A checkout with a few files of tests, and those that ran the last time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in (*OURS, "tests/unchanged.py"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, folder / name)
        for name, content in FILES.items():
            self.write(name, content)

    def write(self, name: str, content: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(content)

    def ran(self, *arguments: str) -> str:
        """The files of tests that are run, by the last part of their names."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        environment |= {"PWD": str(self.folder), "OLDPWD": str(self.folder)}
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # all but ours, which take longer than these tests
        command = (
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-rA",
            "-p",
            "no:cacheprovider",
            "-p",
            "xdist.plugin",
            *arguments,
        )
        self.run = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        told = re.findall(r"^(?:PASSED|FAILED|SKIPPED \[1\]) tests/unit/test_(\w+)\.py", self.run.stdout, re.MULTILINE)
        return " ".join(sorted(told))

    def ran_for_a_page(self, **tests: str) -> str:
        """The same with these files of tests, once all have run and a page has changed that none reads by itself."""
        for name, source in tests.items():
            self.write(f"tests/unit/test_{name}.py", source)
        assert self.ran(*CHANGED) == " ".join(sorted([*ALL.split(), *tests]))
        self.write("docs/b.md", "changed")
        return self.ran(*CHANGED)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")


CHANGED = ("--changed", "-n0", "tests/unit")
ALL = "a alone b skips starts"


def test_only_what_depends_on_a_change_is_run_again(checkout: Checkout) -> None:
    """Also where another has read for it: `b` asks a cache that `a` has filled."""
    assert checkout.ran(*CHANGED) == ALL
    assert checkout.ran(*CHANGED) == "skips"
    assert "4 files of tests left out" in checkout.run.stdout
    checkout.write("docs/a.md", "still right")
    assert checkout.ran(*CHANGED) == "a b skips starts"
    checkout.write("docs/a.md", "right")  # with this it has passed before
    assert checkout.ran(*CHANGED) == "skips"
    checkout.write("docs/b.md", "changed")
    assert checkout.ran(*CHANGED) == "skips starts"
    checkout.write("docs/a.md", "wrong")
    for _ in range(2):  # until it passes
        assert checkout.ran(*CHANGED) == "a b skips" + ("" if _ else " starts")
        assert checkout.run.returncode == pytest.ExitCode.TESTS_FAILED
    (checkout.folder / "docs" / "c.md").touch()  # somebody may have looked whether it is there
    assert checkout.ran(*CHANGED) == ALL


def test_who_reads_all_by_a_module_that_runs_the_tests_too_reads_it_alone(checkout: Checkout) -> None:
    copies = "from tests.checkout import copy_checkout\n\n\ndef test(tmp_path) -> None:\n    copy_checkout(tmp_path)\n"
    assert checkout.ran_for_a_page(copies=copies) == "copies skips starts"


def test_who_has_a_thread_start_an_unknown_program_depends_on_all_and_no_other_does(checkout: Checkout) -> None:
    checkout.write("ops/begins.py", BEGINS)
    test = "from ops.begins import begin\n\n\ndef test() -> None:\n    "
    ran = checkout.ran_for_a_page(begins=f"{test}begin()\n", begins_not=f"{test}assert begin\n")
    assert ran == "begins skips starts"


def test_several_processes_tell_what_they_have_read(checkout: Checkout) -> None:
    (checkout.folder / "tests/unit/test_skips.py").unlink()
    together = ("--changed", "-n2", "--dist", "loadfile", "tests/unit")
    assert checkout.ran(*together) == "a alone b starts"
    assert checkout.ran(*together) == ""
    assert checkout.run.returncode == 0  # that all is left out is no failure
    checkout.write("docs/a.md", "still right")
    assert checkout.ran(*together) == "a b starts"
    for arguments in (("tests/unit",), ("--changed", "-k", "test", "tests/unit")):
        assert checkout.ran("-n0", *arguments) == "a alone b starts"


def test_what_cannot_be_collected_has_not_passed(checkout: Checkout) -> None:
    checkout.write("tests/unit/test_a.py", "nothing that could be read")
    for _ in range(2):
        checkout.ran(*CHANGED)
        assert checkout.run.returncode == pytest.ExitCode.INTERRUPTED


def test_what_is_imported(tmp_path: Path) -> None:
    """Anywhere in a file; of packages too, and from a script's own folder; but not for types, nor of libraries."""
    source = (
        "import json, ops.one\nfrom . import beside\nif TYPE_CHECKING:\n    import ops.types\n"
        "def f():\n    from shared import slack\n    import other\n"
    )
    (tmp_path / "container").mkdir()
    (tmp_path / "container" / "it.py").write_text(source)
    found = {
        *("ops/__init__.py", "ops/one.py", "container/beside.py"),
        *("lambda/shared/__init__.py", "lambda/shared/slack.py", "container/other.py"),
    }
    names = frozenset(found | {"ops/types.py", "ops/two.py", "container/it.py"})
    assert imports(tmp_path, "container/it.py", names) == found


def heard(checkout: Path, names: frozenset[str], event: str, *arguments: object, by: str = "ops/one.py") -> Reads:
    """What is noted when a function of this file causes an event."""
    reads, known = Reads(checkout, names), dict[str, object]()
    file = by if by.startswith("<") else checkout / by
    exec(compile("def cause(hear, event, arguments): hear(event, arguments)", file, "exec"), known)  # noqa: S102
    known["cause"](reads.hear, event, arguments)  # type: ignore[operator]
    return reads


def in_checkout(place: Path, value: object) -> object:
    """The same with the checkout's place for `HERE`."""
    match value:
        case str():
            return value.replace("HERE", str(place))
        case bytes():
            return value.replace(b"HERE", os.fsencode(place))
        case Path():
            return Path(str(value).replace("HERE", str(place)))
        case list():
            return [in_checkout(place, each) for each in value]
        case dict():
            return {name: in_checkout(place, each) for name, each in value.items()}
    return value


NAMES = frozenset({"ops/one.py", "ops/two.py", "docs/a.md", "ops/diff.mjs", "lambda/a/b.py", "container/Dockerfile"})


@pytest.mark.parametrize(
    ("event", "arguments", "read"),
    [
        ("open", ("docs/a.md", "r", 0), {"docs/a.md"}),
        ("open", ("docs/../docs/a.md", "r", 0), {"docs/a.md"}),
        ("open", (b"docs/a.md", "r", 0), {"docs/a.md"}),
        ("open", ("ops/__pycache__/two.cpython-311.pyc", "rb", 0), {"ops/two.py"}),
        ("open", ("cdk.out/manifest.json", "r", 0), set()),  # what the commands make
        ("open", ("/etc/hosts", "r", 0), set()),
        ("open", (3, "r", 0), set()),
        ("os.fork", (), NAMES),
        ("os.posix_spawn", ("sh", ["sh"], {}), NAMES),
        ("compile", (None, "docs/a.md"), set()),
    ],
)
def test_what_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: str, arguments: tuple[object, ...], read: set[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert heard(tmp_path, NAMES, event, *arguments).by.get("ops/one.py", set()) == read


@pytest.mark.parametrize(
    ("command", "read"),
    [
        (["sh", "-c", "true"], NAMES),
        ("node x", NAMES),
        (["node", "/x/jsii-runtime.js"], set()),
        (["node", "/x/diff.mjs"], {"ops/diff.mjs"}),  # or one that fails
        (["python", "/x/app.py"], {"container/Dockerfile"}),
        (["/x/cfn-lint", "--", "/x/a.template.json"], set()),
        (["/x/node", "/x/cdk", "synth"], {"container/Dockerfile"}),
        (["/x/.venv/bin/python", "-m", "local.emulator", "--port", "1"], {"lambda/a/b.py", "container/Dockerfile"}),
        (["/x/uv", "pip", "install", "--requirements", "docs/a.md"], {"docs/a.md"}),
        (["/x/uv", "pip", "install", "--requirements=docs/a.md"], {"docs/a.md"}),
        (["/x/.venv/bin/python", "-m", "local.valkey"], set()),
        (["/x/ruff", "-m", "ops.two"], {"ops/two.py"}),
        (["git", "merge-file", "own", "base", "new", ""], set()),
        (["git", "ls-files"], set()),
        (["git", "grep", "x"], NAMES),
        (["/x/.venv/bin/ruff", "ops/two.py"], {"ops/two.py"}),
        (["/x/.venv/bin/ruff", "ops"], {"ops/one.py", "ops/two.py", "ops/diff.mjs"}),
        ([b"/x/.venv/bin/ruff", b"./ops/../docs/"], {"docs/a.md"}),
        (["/x/.venv/bin/ruff", "."], NAMES),
        (
            ["/x/.tools/litellm/bin/python", Path("ops/two.py"), "docs/a.md"],
            {"ops/two.py", "docs/a.md", "container/Dockerfile"},
        ),
        (["/x/cdk", "/x/diff.mjs"], {"container/Dockerfile", "ops/diff.mjs"}),  # two that are known
        (["/x/.venv/bin/python", "ops/two.py"], NAMES),
        (["sh", "-c", "cat docs/a.md >/x/jsii-runtime.js"], NAMES),
        (["python", "/x/local/confinement.py", "--", "/x/ruff", "docs/a.md"], {"docs/a.md", "local/confinement.py"}),
        (["python", "/x/local/confinement.py", "--", "sh"], {*NAMES, "local/confinement.py"}),
    ],
)
def test_what_a_program_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[Any] | str, read: set[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    reads = heard(tmp_path, NAMES, "subprocess.Popen", command[0], command, None, None)
    assert reads.by.get("ops/one.py", set()) == read


@pytest.mark.parametrize("folder", ["docs", "HERE/docs", b"HERE/docs"])
def test_what_is_named_is_in_the_folder_that_a_program_begins_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str | bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    reads = heard(tmp_path, NAMES, "subprocess.Popen", "ruff", ["ruff", "a.md"], in_checkout(tmp_path, folder), {})
    assert reads.by == {"ops/one.py": {"docs/a.md"}}


@pytest.mark.parametrize(
    ("executable", "words", "folder", "variables", "tells"),
    [
        ("sh", ["sh"], "/", {}, False),
        ("sh", ["sh"], b"/", {}, False),
        ("setpriv", ["/usr/bin/setpriv", "--reuid=1", "true"], "/", {}, False),  # whether one may be who a container is
        ("sh", ["sh"], None, {}, True),  # where the tests run: in the checkout
        ("sh", ["sh"], "", {}, True),
        ("sh", ["sh"], "docs", {}, True),
        ("sh", ["sh"], "HERE/docs", {}, True),
        ("sh", ["sh"], "HERE-beside", {}, False),
        ("HERE/docs/a.sh", ["sh"], "/", {}, True),
        (b"HERE/docs/a.sh", ["sh"], "/", {}, True),
        ("sh", ["sh", "-c", "cat HERE/docs/a.md"], "/", {}, True),
        ("sh", ["sh", Path("HERE")], "/", {}, True),
        ("sh", ["sh"], "/", {"PLACE": "HERE"}, True),
        ("sh", ["sh"], "/", {b"PLACE": b"HERE"}, True),
        ("sh", ["sh"], "/", None, True),  # the tests' own
        ("HERE/.venv/bin/python", ["python"], "/", {"PATH": "/bin:HERE/.venv/bin:HERE/node_modules/.bin"}, False),
        ("sh", ["sh"], "/", {"UV_CACHE_DIR": "HERE/.cache/uv"}, False),
        ("sh", ["sh"], "/", {"PATH": "HERE/.venv/../docs"}, True),
        ("sh", "sh", "/", {}, True),  # its words are not known
    ],
)
def test_who_is_not_told_where_the_checkout_is_reads_nothing_of_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    executable: str | bytes,
    words: list[str | Path] | str,
    folder: str | bytes | None,
    variables: Mapping[str, str] | None,
    tells: bool,
) -> None:
    """What is installed in it, and what is kept there, is no file of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLACE", str(tmp_path))
    arguments = (in_checkout(tmp_path, each) for each in (executable, words, folder, variables))
    reads = heard(tmp_path, NAMES, "subprocess.Popen", *arguments)
    assert reads.by.get("ops/one.py", set()) == (NAMES if tells else set())


def test_no_process_is_told_by_the_shells_own_variables(checkout: Checkout) -> None:
    """Which it has where the tests run; and the folder is not the checkout's."""
    test = "import subprocess\n\n\ndef test() -> None:\n    subprocess.run(['true'], cwd='/')\n"
    assert checkout.ran_for_a_page(elsewhere=test) == "skips starts"


def test_a_synthesis_reads_what_its_digest_is_of() -> None:
    files = {name if (CHECKOUT / name).is_file() else f"{name}/" for name in PRODUCT}
    looked_into = {"container/Dockerfile"}  # of what is hashed
    assert {*PROGRAMS["app.py"]} == {*files, *looked_into, "company/", "tests/companies/"} - {*HASHED}


def test_what_is_hashed_is_read_by_who_looks_into_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """`text_of` makes the key of a synthesis; what the templates have of it is the hash of a package."""
    names = frozenset({"lambda/usage/handler.py", "stacks/usage.py", "ops/remembered.py"})
    reads = Reads(CHECKOUT, names | {"tests/unit/test_unchanged.py"})

    def read(file: Path) -> bytes:
        reads.hear("open", (file, "r", 0))
        return b""

    monkeypatch.setattr(remembered, "_files", lambda place: [place])
    monkeypatch.setattr(Path, "read_bytes", read)
    remembered.text_of(*names)
    assert reads.by == {"tests/unit/test_unchanged.py": names - {"lambda/usage/handler.py"}}
    read(CHECKOUT / "lambda/usage/handler.py")
    assert reads.by == {"tests/unit/test_unchanged.py": names}


@pytest.mark.parametrize(("event", "reads_all"), [("os.fork", True), ("open", False)])
def test_a_read_is_the_tests_that_it_is_for_and_of_what_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: str, reads_all: bool
) -> None:
    """A cache, or a module that is imported. Who else imports the module that reads depends on nothing of it."""
    monkeypatch.chdir(tmp_path)
    names = NAMES | {"tests/unit/test_x.py", "tests/conftest.py"}
    arguments = () if reads_all else ("docs/a.md", "r", 0)
    read = names if reads_all else {"docs/a.md"}
    sources = {
        "ops/one.py": "def passes(hear):\n    hear()\n",
        "ops/two.py": "@functools.cache\ndef keeps(hear):\n    passes(hear)\n",
        "tests/unit/test_x.py": "def test(hear, through):\n    through(hear)\n",
    }
    known: dict[str, Any] = {"functools": functools}
    for name, source in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
        exec(compile(source, tmp_path / name, "exec"), known)  # noqa: S102

    def imports_one(hear: Callable[[], None]) -> None:
        exec(compile("hear()", tmp_path / "ops" / "two.py", "exec"), {"hear": hear})  # noqa: S102

    for through, keeps in ((known["passes"], False), (known["keeps"], True), (imports_one, True)):
        reads = Reads(tmp_path, names)
        known["test"](lambda reads=reads: reads.hear(event, arguments), through)
        assert reads.by == {"tests/unit/test_x.py": read} | ({"ops/two.py": read} if keeps else {})


def test_what_is_recorded_has_the_hash_of_an_image(tmp_path: Path) -> None:
    """Of no package: `ASSET_KEY` of tests/company/test_snapshots.py."""
    others = "tests/company/test_rules.py"
    (tmp_path / "tests" / "company").mkdir(parents=True)
    for file in (SNAPSHOTS, others):
        (tmp_path / file).touch()
    names = NAMES | {SNAPSHOTS, others}
    assert inputs(tmp_path, SNAPSHOTS, names, {}) == {SNAPSHOTS, "container/Dockerfile"}
    assert inputs(tmp_path, others, names, {}) == {others}
    assert (CHECKOUT / SNAPSHOTS).is_file()


def test_a_working_folder_that_is_gone_is_nothing_to_read_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert heard(tmp_path, NAMES, "open", "docs/a.md", "r", 0).by == {}


def test_a_thread_reads_for_who_began_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever runs in it, and in those that it begins."""
    monkeypatch.chdir(tmp_path)
    reads, known = Reads(tmp_path, NAMES), dict[str, Any]()
    source = "def begin(reads, thread): reads.begin(thread)"
    exec(compile(source, tmp_path / "ops" / "two.py", "exec"), known)  # noqa: S102
    inner = Thread(target=reads.hear, args=("open", ("docs/a.md", "r", 0)))

    def outer() -> None:
        reads.begin(inner)
        inner.start()
        inner.join()

    thread = Thread(target=outer)
    known["begin"](reads, thread)
    thread.start()
    thread.join()
    assert reads.by == {"ops/two.py": {"docs/a.md"}}
    reads.running = "tests/unit/test_x.py"  # for whom it may be, as of a pool
    again = Thread(target=reads.hear, args=("open", ("docs/a.md", "r", 0)))
    known["begin"](reads, again)
    again.start()
    again.join()
    assert reads.by.pop("tests/unit/test_x.py") == {"docs/a.md"}


def test_what_nobody_of_the_checkout_reads_is_for_all(tmp_path: Path) -> None:
    """But what is imported, which is looked for by itself."""
    here = heard(tmp_path, NAMES, "open", str(tmp_path / "docs" / "a.md"), by="/of/a/library.py")
    assert here.by == {EVERYBODY: {"docs/a.md"}}
    reads = Reads(tmp_path, NAMES)
    reads.running = "ops/two.py"
    reads.hear("open", (str(tmp_path / "docs" / "a.md"), "r", 0))
    assert reads.by == {"ops/two.py": {"docs/a.md"}}  # or for the test that runs
    reads.hear("open", (str(tmp_path / "ops" / "one.py"), "r", 0))  # where a class of tests begins
    assert reads.by == {"ops/two.py": {"docs/a.md"}}
    here = heard(tmp_path, NAMES, "open", str(tmp_path / "docs" / "a.md"), by="<frozen importlib._bootstrap_external>")
    assert here.by == {}
