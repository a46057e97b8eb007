"""What is sent to a gateway, and what came back: the benchmark's side of the load generator."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path
from typing import Any, Final, Self

from stacks import CHECKOUT

PYTHON: Final = CHECKOUT / ".tools" / "locust" / "bin" / "python"
PROGRAM: Final = Path(__file__).with_name("generator.py")
PATIENCE: Final = 60.0  # seconds that a caller waits for the next byte
TOLERATED: Final = 0.05  # of the requests may fail; they are counted, and told
LIMIT: Final = 180.0  # seconds that one plan may take


class LoadError(Exception):
    """The load could not be sent, or was not answered as it should be: in one sentence."""


@dataclass(frozen=True)
class Target:
    """Where requests go: a URL, and for HTTPS the proxy on the way and the file of the CA that is trusted."""

    url: str
    proxy_host: str | None = None
    proxy_port: int | None = None
    ca_file: str | None = None


@dataclass(frozen=True)
class Request:
    """One request: `body` is a file; `at` is when it is due, in seconds from the start, None for at once."""

    path: str
    body: Path
    headers: Mapping[str, str]
    at: float | None = None


@dataclass(frozen=True)
class Lane:
    """Requests that a number of callers send, one after another."""

    requests: Sequence[Request]
    callers: int


@dataclass(frozen=True)
class Answer:
    """What came back of one request; times in seconds from the beginning of the plan.

    `due` is when it should have been sent, `events` is when each event of a stream came. `text` says what is wrong
    where `status` is not 200: 0 stands for no answer at all. `retry_after` is the header of that name.
    """

    lane: str
    due: float
    sent: float
    end: float
    status: int
    events: tuple[float, ...] = ()
    text: str = ""
    retry_after: str = ""

    @property
    def seconds(self) -> float:
        """From when it was due to its end."""
        return self.end - self.due

    @property
    def first(self) -> float:
        """Seconds to the first event, or to the end where there is none."""
        return (self.events[0] if self.events else self.end) - self.due

    @property
    def gaps(self) -> list[float]:
        """Seconds between one event and the next."""
        return [later - earlier for earlier, later in pairwise(self.events)]

    @property
    def is_good(self) -> bool:
        """Whether it was answered whole."""
        return self.status == 200 and not (self.events and self.text)


class Generator:
    """Locust in a process of its own: a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._plans, self._numbers = count(1), count(1)
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [str(PYTHON), str(PROGRAM)],
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(self._folder / "locust.log").open("w"),
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        if self._process:
            self._process.kill()
            self._process.wait()

    @property
    def process_group(self) -> int:
        """The identity of its process group, which is that of its process."""
        assert self._process  # noqa: S101 - it was entered
        return self._process.pid

    def body(self, name: str, content: Mapping[str, Any]) -> Path:
        """Keep a body for requests."""
        file = self._folder / f"{name}.json"
        file.write_text(json.dumps(content))
        return file

    def send(self, target: Target, lanes: Mapping[str, Lane]) -> list[Answer]:
        """Send all of it, and return what came back.

        Raises
        ------
        LoadError
            The generator has ended, or not everything was answered in time.
        """
        plan = {
            "target": {name: value for name, value in vars(target).items() if value is not None},
            "patience": PATIENCE,
            "limit": LIMIT,
            "lanes": {
                name: {"callers": lane.callers, "requests": [self._written(request) for request in lane.requests]}
                for name, lane in lanes.items()
            },
        }
        file = self._folder / f"plan-{next(self._plans)}.json"
        file.write_text(json.dumps(plan))
        process = self._process
        assert process and process.stdin and process.stdout  # noqa: S101 - started with both
        try:
            process.stdin.write(f"{file}\n")
            process.stdin.flush()
            result = process.stdout.readline().strip()
        except BrokenPipeError:
            result = ""
        if not result:
            raise LoadError(f"the load generator has ended; its log is {self._folder / 'locust.log'}")
        answers = [answer_of(found) for found in json.loads(Path(result).read_text())]
        for done in (file, Path(result)):
            done.unlink()
        wanted = sum(len(lane.requests) for lane in lanes.values())
        if len(answers) < wanted:
            raise LoadError(f"{wanted - len(answers)} of {wanted} requests were not answered within {LIMIT:.0f} s")
        return answers

    def _written(self, request: Request) -> dict[str, Any]:
        written = {"path": request.path, "body": str(request.body), "headers": dict(request.headers)}
        return {**written, "number": next(self._numbers)} | ({} if request.at is None else {"at": request.at})


def answer_of(noted: Mapping[str, Any]) -> Answer:
    """Read what the generator noted."""
    due = noted["sent"] if noted["at"] is None else noted["at"]
    return Answer(
        lane=noted["lane"],
        due=due,
        sent=noted["sent"],
        end=noted["end"],
        status=noted["status"],
        events=tuple(noted["events"]),
        text=noted["text"] if noted["status"] != 200 or noted["events"] else "",
        retry_after=noted.get("retry_after") or "",
    )


def good(answers: Iterable[Answer], who: str) -> list[Answer]:
    """Those that were answered whole.

    Raises
    ------
    LoadError
        More than `TOLERATED` of them were not: what the others took would be figures of another work.
    """
    every = list(answers)
    failed = [answer for answer in every if not answer.is_good]
    if len(failed) > TOLERATED * len(every):
        said = f"the first with {failed[0].status}: {failed[0].text[:300]}"
        raise LoadError(f"{who}: {len(failed)} of {len(every)} requests failed, {said}")
    return [answer for answer in every if answer.is_good]
