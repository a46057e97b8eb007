"""The emulated AWS as whoever starts it has it: what it is told, and its process (`local.emulator`) as one object."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx

from local.place import Place
from stacks import CHECKOUT

ACCOUNT = "000000000000"  # of who names none
REGION = "us-east-1"  # where no place names one
START_TIMEOUT = 60.0  # seconds
NOT_EMULATED = "not-emulated.json"
DECISIONS = "iam-decisions.jsonl"  # what was allowed and refused
GRANTS = "iam-grants.jsonl"  # what the roles may do, once it has ended
LOST = "lost-regions"  # a file for each
IMAGES = "images"  # in the state folder: what `docker build` was given
# What the emulator has of the environment of whoever starts it: the functions that it runs get it too.
INHERITED = ("HOME", "LANG", "LC_ALL", "LOG_LEVEL", "PATH", "TZ")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an emulator is told when it starts.

    Parameters
    ----------
    places
        The environments that will be deployed to it.
    functions
        What differs from AWS for the Lambda functions of all of them, such as `local.functions.WAY_OUT`.
    smtp_port
        Where on 127.0.0.1 the mails that SES accepts are relayed to; None for nowhere.
    concurrency
        How many Lambda functions an account may run at once in a region: 10 in a new one. None for as many as this
        machine bears.
    """

    places: Sequence[Place] = ()
    functions: Mapping[str, str] = field(default_factory=dict)
    smtp_port: int | None = None
    concurrency: int | None = None

    @classmethod
    def read(cls, file: Path) -> Settings:
        """Read what `dataclasses.asdict` makes of it, as JSON."""
        document = json.loads(file.read_text())
        return cls(**document | {"places": tuple(Place(**place) for place in document["places"])})

    def of_container(self, variables: Mapping[str, str]) -> Mapping[str, str | None]:
        """What differs for a container with these variables."""
        return next((place.containers for place in self.places if place.has(variables)), {})

    def of_function(self, variables: Mapping[str, str]) -> Mapping[str, str]:
        """What differs for a function with these variables."""
        return {**self.functions, **next((place.functions for place in self.places if place.has(variables)), {})}

    @property
    def region(self) -> str:
        """That of the first place: of who names none."""
        return next((place.region for place in self.places), REGION)


class Emulator:
    """The emulator as a child process; `endpoint` is the AWS API's URL.

    Parameters
    ----------
    port
        Of the AWS API on 127.0.0.1.
    state
        A folder for containers' writable places, images, logs and records; made if absent.
    settings
        What it is told of the environments that will be deployed to it.
    """

    def __init__(
        self,
        *,
        port: int,
        state: Path,
        settings: Settings | None = None,
    ) -> None:
        self._port = port
        self.endpoint = f"http://127.0.0.1:{port}"
        self._settings = settings or Settings()
        self._state = state
        state.mkdir(parents=True, exist_ok=True)
        settings_file = state / "settings.json"
        settings_file.touch(mode=0o600)
        settings_file.write_text(json.dumps(asdict(self._settings), indent=1))
        self.log = state / "emulator.log"
        self.decisions = state / DECISIONS
        self.logs = state / "logs"  # what the containers and functions print
        self._command = [
            *(sys.executable, "-m", "local.emulator"),
            *("--port", str(port), "--state", str(state), "--settings", str(settings_file)),
        ]

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises
        ------
        RuntimeError
            Its port is taken, it ended, or did not answer within a minute; the message has the end of its log.
        """
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                raise RuntimeError(f"the AWS emulator cannot start: another program listens on 127.0.0.1:{self._port}")
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - this very module
                self._command,
                cwd=CHECKOUT,
                env={name: os.environ[name] for name in INHERITED if name in os.environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(httpx.HTTPError):
                httpx.get(f"{self.endpoint}/_ministack/health", trust_env=False, timeout=5).raise_for_status()
                return
            time.sleep(0.1)
        self.stop()
        raise RuntimeError(f"the AWS emulator did not start: {self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        """Stop it with everything that it runs, and wait for the end."""
        self._process.terminate()
        self._process.wait()

    def lose(self, region: str) -> None:
        """Have a region be gone: nothing in it answers any more. What runs there for others is not ended by it."""
        lost = self._state / LOST
        lost.mkdir(exist_ok=True)
        (lost / region).touch()

    def environment(self, account: str | None = None, region: str | None = None) -> dict[str, str]:
        """What the CDK CLI and boto3 need in their environment to deploy to it, as somebody of this account.

        The account is that of the first environment if none is given, and the region that of the account's first.
        """
        places = self._settings.places
        account = account or next((place.account for place in places), ACCOUNT)
        first = next((place.region for place in places if place.account == account), self._settings.region)
        region = region or first
        return {
            "AWS_ACCESS_KEY_ID": account,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_SECRET_ACCESS_KEY": "test",
            "CDK_DEFAULT_ACCOUNT": account,
            "CDK_DEFAULT_REGION": region,
            "CDK_DOCKER": str(Path(__file__).with_name("docker")),
            "LOCAL_DOCKER_IMAGES": str(self._state.resolve() / IMAGES),
        }

    def not_emulated(self) -> list[Mapping[str, str]]:
        """The deployed resources that have no effect here: `type`, `logical_id` and `stack` of each."""
        entries: dict[str, Mapping[str, str]] = json.loads((self._state / NOT_EMULATED).read_text())
        return [*entries.values()]
