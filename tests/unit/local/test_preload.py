"""local/preload: LiteLLM's command as a fork of what has imported it, with a small package in LiteLLM's place."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from local.confinement import possible
from local.place import Place
from local.preloaded import import_early, preloaded_for
from stacks import CHECKOUT
from stacks.litellm_config import SERVED_AS

COMMAND = CHECKOUT / "local" / "preload" / "litellm"
PACKAGE = {
    "__init__.py": "",
    "proxy/__init__.py": "",
    # What is imported notes itself once an import, with a variable's value of that time.
    "slow.py": """
import os, pathlib, tempfile, time
tempfile.gettempdir(), pathlib.Path.home()  # as LiteLLM asks for them
with open(os.environ["NOTES"], "a") as notes:
    notes.write(f"imported with {os.environ.get('FLAVOUR')}\\n")
while "GATE" in os.environ and not os.path.exists(os.environ["GATE"]):
    time.sleep(0.01)
""",
    "proxy/proxy_server.py": """
import litellm.slow
from litellm.proxy import nothing_like_it
from litellm.proxy.login import page
""",
    "proxy/login.py": "from litellm.proxy.common_utils.html_forms.ui_login import page\n",
    "proxy/common_utils/html_forms/ui_login.py": """
import os
ADDRESS = os.environ.get("PROXY_BASE_URL")
def page():
    return f"page of {ADDRESS}"
""",
    "proxy/proxy_cli.py": """
import os, signal, sys, time
sys.path.append(os.getcwd())

def run_server():
    print("arguments", sys.argv[1:], "in", os.getcwd(), "port", os.environ["PORT"], flush=True)
    match sys.argv[1]:
        case "end":
            sys.exit(int(sys.argv[2]))
        case "fail":
            raise ValueError("no such thing")
        case "serve":
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
            print("serving", flush=True)
            time.sleep(600)
        case "page":
            from litellm.proxy.login import page
            print(page(), flush=True)
        case "own":
            import own
            print(own.NAME, flush=True)
        case "who":
            print(os.getuid(), os.access(sys.argv[2], os.W_OK), os.access(sys.argv[3], os.W_OK), flush=True)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
""",
}
PATIENCE = 120.0


class Machine:
    """Where `litellm` is started: a package of that name, and a folder for the sockets."""

    def __init__(self, folder: Path, sockets: Path) -> None:
        self.folder, self.sockets = folder, sockets
        for name, text in PACKAGE.items():
            file = folder / "litellm" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.notes = folder / "notes"
        self.log = folder / "log"
        (sockets / "owner").write_text(str(os.getpid()))

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        return self.start_in(self.folder, *arguments, **variables)

    def start_in(self, folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        return self.run([str(COMMAND), *arguments], folder, **variables)

    def run(self, command: list[str], folder: Path, **variables: str) -> subprocess.Popen[bytes]:
        own = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "PYTHONPATH": str(self.folder),
            "NOTES": str(self.notes),
            "LITELLM_PRELOAD": str(self.sockets),
            "PORT": "1",
        }
        with self.log.open("ab") as log:
            return subprocess.Popen(command, cwd=folder, env=own | variables, stdout=log, stderr=log)

    def code(self, *arguments: str, **variables: str) -> int:
        return self.start(*arguments, **variables).wait(PATIENCE)

    def imports(self) -> list[str]:
        return self.notes.read_text().splitlines()


def until(look: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not (found := look()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    sockets = Path(tempfile.mkdtemp(prefix="preload-", dir="/tmp"))  # a socket's path must be short
    yield Machine(tmp_path, sockets)
    shutil.rmtree(sockets, ignore_errors=True)


def test_it_is_imported_once_for_all_who_start_it_alike(machine: Machine) -> None:
    assert [machine.code("end", str(number), PORT=str(number)) for number in range(3)] == [0, 1, 2]
    assert machine.imports() == ["imported with None"]
    lines = machine.log.read_text().splitlines()
    assert lines == [f"arguments ['end', '{n}'] in {machine.folder} port {n}" for n in range(3)]


def test_who_comes_while_it_is_imported_waits_for_that(machine: Machine, tmp_path: Path) -> None:
    gate = {"GATE": str(tmp_path / "gate")}
    first = machine.start("end", "1", **gate)
    assert until(lambda: machine.notes.exists())  # it is being imported
    second = machine.start("end", "2", **gate)
    assert until(lambda: len(psutil.Process(second.pid).cmdline()) > 1)
    (tmp_path / "gate").touch()
    assert (first.wait(PATIENCE), second.wait(PATIENCE)) == (1, 2)
    assert machine.imports() == ["imported with None"]


def test_each_has_the_modules_of_its_own_folder(machine: Machine, tmp_path: Path) -> None:
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "own.py").write_text(f"NAME = {name!r}")
        assert machine.start_in(tmp_path / name, "own").wait(PATIENCE) == 0
    assert machine.imports() == ["imported with None"]
    assert machine.log.read_text().splitlines()[1::2] == ["before", "after"]


def test_who_would_have_imported_otherwise_gets_a_process_of_its_own(machine: Machine) -> None:
    for flavour in ("sweet", "sour", "sweet"):
        assert machine.code("end", "0", FLAVOUR=flavour) == 0
    assert machine.code("end", "0", HTTPS_PROXY="http://127.0.0.1:1") == 0
    assert machine.imports() == ["imported with sweet", "imported with sour", "imported with None"]


def test_what_only_a_page_has_of_an_environment_is_made_anew_for_each(machine: Machine) -> None:
    for address in ("one", "other"):
        assert machine.code("page", PROXY_BASE_URL=address) == 0
    assert machine.imports() == ["imported with None"]
    assert machine.log.read_text().splitlines()[1::2] == ["page of one", "page of other"]


def test_what_others_have_of_it_too_is_not(machine: Machine) -> None:
    slow = machine.folder / "litellm" / "slow.py"
    slow.write_text(f"import os\nos.environ.get('PROXY_BASE_URL')\n{slow.read_text()}")
    for address in ("one", "other"):
        assert machine.code("page", PROXY_BASE_URL=address) == 0
    assert len(machine.imports()) == 2
    assert machine.log.read_text().splitlines()[1::2] == ["page of one", "page of other"]


def test_a_failure_is_told_as_it_is(machine: Machine) -> None:
    assert machine.code("fail") == 1
    assert "ValueError: no such thing" in machine.log.read_text()


def test_signals_reach_it(machine: Machine) -> None:
    process = machine.start("serve")
    assert until(lambda: "serving" in machine.log.read_text())
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 7


def test_it_ends_as_a_process_that_is_killed(machine: Machine) -> None:
    assert machine.code("die") == -signal.SIGKILL


def test_it_ends_with_who_started_it(machine: Machine) -> None:
    process = machine.start("serve")
    assert until(lambda: "serving" in machine.log.read_text())
    (place,) = machine.sockets.glob("*.sock")
    process.kill()
    process.wait(PATIENCE)
    assert until(lambda: len(_processes(place)) == 1)  # the server alone


@pytest.mark.parametrize("way", ["its folder is gone", "its owner has ended"])
def test_nothing_stays_behind(machine: Machine, way: str) -> None:
    process = machine.start("serve")
    assert until(lambda: "serving" in machine.log.read_text())
    (place,) = machine.sockets.glob("*.sock")
    if way == "its folder is gone":
        shutil.rmtree(machine.sockets)
    else:
        ended = subprocess.Popen([sys.executable, "-c", ""], cwd="/")
        ended.wait()
        (machine.sockets / "owner").write_text(str(ended.pid))
    assert process.wait(PATIENCE) == -signal.SIGKILL
    assert until(lambda: not _processes(place))
    assert until(lambda: not machine.sockets.exists())


@pytest.mark.skipif(not possible(), reason="only root on Linux can be another user")
def test_what_is_imported_early_and_its_forks_are_as_confined_as_the_containers(tmp_path: Path) -> None:
    preloaded = preloaded_for(tmp_path / "containers")
    machine = Machine(tmp_path, preloaded.folder)
    folders = [tmp_path / "containers", tmp_path / "elsewhere"]
    for folder in folders:
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
    machine.notes = folders[0] / "notes"  # where it may write
    variables = {
        "PATH": f"{COMMAND.parent}:{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONPATH": str(tmp_path),
        "NOTES": str(machine.notes),
    }
    place = Place(account="", region="", domain="", port=0, parameter_prefix="", containers=variables)
    early = import_early(preloaded, place)
    assert early is not None
    assert until(lambda: (preloaded.folder / "early.sock").exists() or early.poll() is not None)
    for _ in range(2):
        who = preloaded.confinement.command([str(COMMAND), "who", *map(str, folders)])
        started = machine.run(who, tmp_path, **SERVED_AS, **variables, HOME=str(folders[0]), TMPDIR=str(folders[0]))
        assert started.wait(PATIENCE) == 0
    assert machine.imports() == ["imported with None"]
    assert machine.log.read_text().splitlines()[1::2] == ["65532 True False"] * 2
    shutil.rmtree(preloaded.folder)
    assert early.wait(PATIENCE) == 0  # though its owner is root, whom it may not signal


def test_a_package_that_cannot_be_imported(machine: Machine) -> None:
    (machine.folder / "litellm" / "proxy" / "proxy_server.py").unlink()
    assert machine.code("end", "0") == 1
    assert "LiteLLM has no module litellm.proxy.proxy_server" in machine.log.read_text()
    assert "litellm: the process that imports LiteLLM has ended" in machine.log.read_text()


def _processes(place: Path) -> list[psutil.Process]:
    return [each for each in psutil.process_iter(["cmdline"]) if str(place) in (each.info["cmdline"] or ())]
