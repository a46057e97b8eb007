"""Linux and macOS, as root and not: nothing that only one of them knows, in what runs on a laptop."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from stacks import CHECKOUT

SCRIPTS = ("Makefile", *(f"container/{name}.sh" for name in ("entrypoint", "verify-image")), "local/prisma/prisma")
SCRIPTS += ("local/prisma/query-engine",)
PROGRAMS = sorted(
    str(file.relative_to(CHECKOUT))
    for folder in ("lambda", "local", "ops", "stacks")
    for file in (CHECKOUT / folder).rglob("*.py")
)
# What BSD's tools, which are those of macOS, do not know or do otherwise.
TOOLS = "cat|cp|cut|date|expand|grep|head|ls|mktemp|mv|rm|sed|sort|tail|touch|tr|uniq|wc|xargs"
OPTIONS = r"sed -\w*[ir]|grep -\w*P|xargs -r|readlink -f|stat -c|date -d|base64 -w|cp -\w*t|mktemp -p"
COMMANDS = "md5sum|nproc|realpath|sha256sum|setpriv|setsid|tac|timeout"
GNU = {
    "a long option": rf"\b(?:{TOOLS}) (?:-\w+ )*--\w",
    "a tab or an operator in sed": r"\bsed [^|;]*\\[t+?|]",
    "an option": rf"\b(?:{OPTIONS})",
    "a command": rf"(?<![\w-])(?:{COMMANDS})(?![\w-])",
}
# What make 3.81 does not know.
YOUNG = {
    "a function": r"\$\((?:file|let|intcmp) ",
    "an assignment": r"^\w+ *(?:!=|::=|:::=)",
    "a directive": r"^(?:undefine|private) ",
    "a target": r"^\.(?:ONESHELL|RECIPEPREFIX|EXTRA_PREREQS|WAIT|NOTINTERMEDIATE)\b",
    "grouped targets": r"^[^\t#=]*&:",
}
# Where Linux alone is meant, with macOS beside it.
LINUX = re.compile(r"/proc/|prctl|sched_getaffinity|setpriv|/dev/shm|\bepoll\b|127\.0\.0\.[2-9]")
KNOWN = {"local/callers.py", "local/confinement.py", "local/postgres.py", "ops/bench_usage.py"}
KNOWN |= {f"ops/bench_gateway/{name}.py" for name in ("machine", "processes")}


def found(rules: dict[str, str], script: str) -> list[str]:
    return [
        f"{name}: {line}"
        for name, rule in rules.items()
        for line in script.splitlines()
        if re.search(rule, line) and not line.lstrip().startswith("#")
    ]


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_need_no_gnu_tools(script: str) -> None:
    assert found(GNU, (CHECKOUT / script).read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        r"sed -n 's/a/\1\t/p' file",
        "sed -i s/a/b/ file",
        "grep -oP 'a' file",
        "head --bytes=3 file",
        "sort -u --parallel=2",
        "printf x | sha256sum -c",
        "timeout 3 make up",
        "readlink -f file",
    ],
)
def test_what_needs_them_is_found(line: str) -> None:
    assert found(GNU, line)


def test_the_makefile_is_for_the_make_of_macos_too() -> None:
    makefile = (CHECKOUT / "Makefile").read_text()
    assert found(YOUNG, makefile) == []
    assert "\nSHELL := /bin/bash\n" in makefile


@pytest.mark.parametrize(
    "line", ["$(file >x,y)", "A != ls", "A ::= b", ".ONESHELL:", "a b &: c", "undefine A", "$(let a,b,c)"]
)
def test_a_younger_make_is_found(line: str) -> None:
    assert found(YOUNG, line)


def test_programs_know_nothing_that_only_linux_has() -> None:
    assert {name for name in PROGRAMS if LINUX.search((CHECKOUT / name).read_text())} == KNOWN


def test_no_two_files_differ_by_case_alone() -> None:
    folders = (".ci", ".github", "container", "docs", "lambda", "local", "ops", "stacks", "tests")
    names = [str(file) for folder in folders for file in (CHECKOUT / folder).rglob("*")]
    assert names
    assert len({name.casefold() for name in names}) == len(names)


def _make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Make with our Makefile, in a folder where nothing is set up."""
    for name in ("Makefile", "requirements.txt"):
        (folder / name).write_text((CHECKOUT / name).read_text())
    return subprocess.run(
        ["/usr/bin/env", "make", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "program", ["exit 1", "echo 'python: command not found' >&2; exit 127"], ids=["too old", "not installed"]
)
def test_a_python_that_does_not_do_is_one_sentence(tmp_path: Path, program: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{program}\n")
    python.chmod(0o755)
    run = _make(tmp_path, "setup", f"PYTHON={python}")
    assert run.returncode == 2
    said, _ = run.stderr.splitlines()  # the other is make's
    assert said == (
        f"setup: Python 3.11 or later with pip is needed, and '{python}' is none: make PYTHON=python3.13 takes another"
    )


def test_help_tells_every_target(tmp_path: Path) -> None:
    targets, _, company = _make(tmp_path, "help").stdout.partition("\n\n")
    told = [line[:20].strip() for line in targets.splitlines()]
    assert company.strip()  # which one is in force
    makefile = (CHECKOUT / "Makefile").read_text()
    assert told == re.findall(r"^([a-z0-9 -]+):.*## ", makefile, re.MULTILINE)
    assert len(told) > 20
