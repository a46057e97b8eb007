"""`tests/up.py`, which tries `make up`, with make and curl played."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from tests import up

CURL = "curl http://127.0.0.1:4000/v1/chat/completions \\\n    -H 'Authorization: Bearer sk-1' \\\n    -d '{\"n\": 1}'"
READY = f"[ 87 s] Ready\n\nTry it:\n  {CURL}\n\nCtrl-C ends it.\n"
ANSWER = '{"model": "m", "choices": [{"message": {"content": "Hello"}}]}'


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its commands are in `bin`; a make that is Ready and a curl that is answered."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    play(tmp_path, "make", READY)
    write(tmp_path, "curl", f"#!/bin/sh\nprintf '%s|' \"$@\" >'{tmp_path}/called'\necho '{ANSWER}'\n")
    return tmp_path


def write(folder: Path, name: str, script: str) -> None:
    (folder / "bin" / name).write_text(script)
    (folder / "bin" / name).chmod(0o755)


def play(
    folder: Path, name: str, says: str, ends: str = 'print("Ended. It is kept.", flush=True); sys.exit(130)'
) -> None:
    """A program that says this, and at Ctrl-C does that."""
    script = f"""#!{sys.executable}
import sys, time
try:
    print({says!r}, end="", flush=True)
    time.sleep(60 if "Ctrl-C" in {says!r} else 0)
except KeyboardInterrupt:
    {ends}
"""
    write(folder, name, script)


def test_what_a_person_does(machine: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert up.main([], machine) == 0
    said = capfd.readouterr().out
    assert said.startswith(READY)
    assert said.splitlines()[-1] == "up: Ready, an answer of m and an end at Ctrl-C"
    assert (machine / "called").read_text() == (
        'http://127.0.0.1:4000/v1/chat/completions|-H|Authorization: Bearer sk-1|-d|{"n": 1}|'
    )


@pytest.mark.parametrize(
    ("says", "ends", "reason"),
    [
        ("[  0 s] Synthesizing\nerror: no\n", "pass", "make up ended, or was ended, before it was Ready"),
        (READY.replace("curl", "wget"), "pass", "make up printed no curl line"),
        (READY, "pass", "Ctrl-C did not end it"),
    ],
)
def test_what_is_not_as_written_is_said(
    machine: Path, capfd: pytest.CaptureFixture[str], says: str, ends: str, reason: str
) -> None:
    play(machine, "make", says, ends)
    assert up.main([], machine) == 1
    assert capfd.readouterr().out.splitlines()[-1] == f"up: {reason}"


@pytest.mark.parametrize("answer", ["echo '{\"error\": 1}'", "echo refused >&2; exit 7", "echo '[]'"])
def test_an_answer_that_is_none(machine: Path, capfd: pytest.CaptureFixture[str], answer: str) -> None:
    write(machine, "curl", f"#!/bin/sh\n{answer}\n")
    assert up.main([], machine) == 1
    assert "up: the curl line was answered with" in capfd.readouterr().out


def test_nothing_is_left_running(machine: Path) -> None:
    write(machine, "curl", "#!/bin/sh\nexit 7\n")
    up.main([], machine)
    program = str(machine / "bin" / "make")
    assert not [process for process in psutil.process_iter(["cmdline"]) if program in (process.info["cmdline"] or ())]
