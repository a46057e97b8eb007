"""A process that has imported LiteLLM, and forks for each `litellm` that is started with the same variables.

    python server.py FOLDER/NAME.sock

It imports all that `litellm.proxy.proxy_server` imports, but not that module itself, which makes folders when it is
imported. Which variables were read meanwhile is noted: a start whose values differ in one of them is refused, and makes
a server of its own, unless it was read only by what each fork makes anew (`REMADE`). It ends when its socket's folder
is gone, or the process that is named in `owner` there.
"""

import ast
import contextlib
import gc
import importlib
import importlib.util
import json
import os
import random
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

WATCH_SECONDS = 1.0
# Read while importing, and of no effect: where Python's and Prisma's own folders for a user are, which nothing here
# uses, and where temporary files go, which a fork asks again.
WITHOUT_EFFECT = frozenset({"HOME", "TMPDIR"})
MODULE = "litellm.proxy.proxy_server"
# Modules of constants that come from variables which each environment has otherwise (PROXY_BASE_URL). Who has imported
# a function of theirs sees the new ones: they are in its module's dictionary.
REMADE = ("litellm.proxy.common_utils.html_forms.ui_login",)


def proxies(environment: Iterable[str]) -> set[str]:
    """The names of the variables that say where a proxy is."""
    return {name for name in environment if name.lower().endswith("_proxy")}


class Noted:
    """The names of the variables that are read while it is entered, and how many times.

    Who looks at all of them looks for some: httpx for proxies, and pydantic-settings for names of its own, which no
    task has.
    """

    def __init__(self) -> None:
        self.times: Counter[str] = Counter()
        self._read = os._Environ.__getitem__

    def __enter__(self) -> "Noted":
        """Begin."""
        read, times = self._read, self.times

        def note(environment: Any, name: Any) -> Any:  # noqa: ANN401 - as typeshed has it
            if sys._getframe(1).f_code.co_name != "__iter__":
                times[name] += 1
            return read(environment, name)

        os._Environ.__getitem__ = note  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        os._Environ.__getitem__ = self._read  # type: ignore[method-assign]


def imported_by(module: str) -> set[str]:
    """The names of the modules that a module imports when it is imported, by its source."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ImportError(f"LiteLLM has no module {module}")
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(Path(spec.origin).read_text("utf-8"))]
    while waiting:
        match waiting.pop():
            case ast.Import(names=names):
                found |= {name.name for name in names}
            case ast.ImportFrom(module=str(origin), names=names, level=0):
                found |= {origin, *(f"{origin}.{name.name}" for name in names)}
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                pass  # imports when it is called
            case node:
                waiting += ast.iter_child_nodes(node)
    return found


def import_all() -> set[str]:
    """Import LiteLLM, and return the names of the variables whose values that may depend on."""
    with Noted() as noted:
        importlib.import_module("litellm.proxy.proxy_cli")
        for name in sorted(imported_by(MODULE) - {MODULE}):
            with contextlib.suppress(Exception):  # a name that is no module, or one that is optional
                importlib.import_module(name)
    with Noted() as again:
        remake()
    only_there = {name for name, times in again.times.items() if times == noted.times[name]}
    return (noted.times.keys() - WITHOUT_EFFECT - only_there) | proxies(os.environ)


def remake() -> None:
    """Make the modules anew that are cheap, and another for each environment."""
    for name in REMADE:
        if module := sys.modules.get(name):
            importlib.reload(module)


class Server:
    """Answers at a socket; `serve` returns in each fork, and in the server itself once it is not needed any more."""

    def __init__(self, place: Path, names: set[str]) -> None:
        self._place = place
        self._folder = str(Path.cwd())
        self._values = {name: os.environ.get(name) for name in names}
        self._children: dict[int, socket.socket] = {}
        self._ended, wakes = os.pipe()
        os.set_blocking(wakes, False)
        os.set_blocking(self._ended, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakes)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(place))
        self._listener.listen()

    def serve(self) -> bool:
        """Whether this is a fork, which is to run LiteLLM."""
        while self._is_needed():
            ready, _, _ = select.select([self._listener.fileno(), self._ended], [], [], WATCH_SECONDS)
            if self._ended in ready:
                os.read(self._ended, 512)
                self._reap()
            if self._listener.fileno() in ready and self._accept():
                return True
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
        shutil.rmtree(self._place.parent, ignore_errors=True)
        return False

    def _is_needed(self) -> bool:
        try:
            os.kill(int((self._place.parent / "owner").read_text()), 0)
        except (FileNotFoundError, ProcessLookupError):
            return False
        except PermissionError:  # it is another user's, and runs
            pass
        return True

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                child, status = ended
                connection = self._children.pop(child)
                with contextlib.suppress(OSError):
                    connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
                connection.close()

    def _accept(self) -> bool:
        """Fork if the caller's variables permit it. Whether this is the fork."""
        connection, _ = self._listener.accept()
        received, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
        while received and not received.endswith(b"\n"):
            received += connection.recv(1 << 20)
        request = json.loads(received or "null")
        if request is None or not self._suits(request["environment"]):
            connection.close()
            for file in files:
                os.close(file)
            return False
        child = os.fork()
        if not child:
            self._become(request, connection, files)
            return True
        for file in files:
            os.close(file)
        self._children[child] = connection
        connection.sendall(b"+")
        return False

    def _suits(self, variables: Mapping[str, str]) -> bool:
        """Whether LiteLLM would have been imported alike with these variables."""
        names = self._values.keys() | proxies(variables)
        return all(variables.get(name) == self._values.get(name) for name in names)

    def _become(self, request: dict[str, Any], connection: socket.socket, files: list[int]) -> None:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._listener.close()
        for other in self._children.values():
            other.close()
        for standard, file in enumerate(files):
            os.dup2(file, standard)
            os.close(file)
        # LiteLLM has put the folder that it was imported in on the path: the start's own has its own modules.
        sys.path[:] = [request["folder"] if place == self._folder else place for place in sys.path]
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        remake()
        sys.argv = ["litellm", *request["arguments"]]
        random.seed()
        tempfile.tempdir = None
        threading.Thread(target=_obey, args=(connection,), daemon=True).start()


def _obey(connection: socket.socket) -> None:
    """Take the signals that whoever started it hands over, and end with it."""
    while number := connection.recv(1):
        os.kill(os.getpid(), number[0])
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Import, serve, and in a fork run LiteLLM."""
    place = Path(sys.argv[1])
    importing = place.with_suffix(".importing")  # for who comes meanwhile
    importing.write_text(str(os.getpid()))
    gc.disable()  # to look through what is imported again and again takes a tenth of the time, and finds nothing
    names = import_all()
    gc.freeze()  # what is imported stays shared with the forks
    gc.enable()
    server = Server(place, names)
    importing.unlink(missing_ok=True)
    if server.serve():
        importlib.import_module("litellm.proxy.proxy_cli").run_server()


if __name__ == "__main__":
    main()
