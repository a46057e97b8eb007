"""`make up` and `make down`: run the gateway on this machine, or end it and remove what it kept."""

from __future__ import annotations

import argparse
import collections
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import psutil

from local.callers import OFFICE, STRANGER
from local.gateway import LocalGateway, LocalGatewayError, mail_domain
from local.postgres import PostgresError
from local.trial import command
from stacks import CHECKOUT
from stacks.litellm_config import ConfigError
from stacks.settings import SettingsError

STATE = CHECKOUT / ".local"
ACCESS = STATE / "access.mk"  # the Makefile includes it
PORT = 4000
ENDING = (signal.SIGINT, signal.SIGTERM)


def main() -> None:
    """Run the command that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("command", choices=("up", "down"))
    parser.add_argument("--port", type=int, default=PORT, help=f"where the gateway answers on 127.0.0.1 ({PORT})")
    options = parser.parse_args()
    if options.command == "up":
        up(options.port)
    else:
        down()


def up(port: int) -> None:
    """Start the gateway, say how to use it, and end it at Ctrl-C or SIGTERM."""
    if _running():
        sys.exit("The gateway runs already; end it with Ctrl-C where it was started, or with `make down`.")
    for number in ENDING:
        signal.signal(number, _interrupt)
    began = time.monotonic()

    def report(step: str) -> None:
        print(f"[{time.monotonic() - began:3.0f} s] {step}", flush=True)

    try:
        with LocalGateway(STATE, port=port, report=report) as gateway:
            report("Ready")
            print(summary(gateway), flush=True)
            with _access(gateway):
                threading.Event().wait()
    except KeyboardInterrupt:
        print("Ended. Accounts and spend are kept for the next `make up`; `make down` removes them.")
    except (SettingsError, ConfigError, LocalGatewayError, PostgresError, RuntimeError, OSError) as error:
        sys.exit(f"error: {error}")


def down() -> None:
    """End what runs and remove its folder: accounts, spend, secrets, logs."""
    for process in _running():
        process.terminate()
    _, alive = psutil.wait_procs(_running(), timeout=150)
    for process in alive:
        process.kill()
    if STATE.exists():
        shutil.rmtree(STATE)
    print("Ended and removed: the gateway of this checkout, its database, its secrets and its logs.")


@contextmanager
def _access(gateway: LocalGateway) -> Iterator[None]:
    """While it runs, have the Makefile lead the operators' commands for ENV=local to it."""
    variables = {**gateway.access, "LITELLM_URL": gateway.url, "COMPANY": gateway.company.name}
    ACCESS.write_text("".join(f"export {name} := {value}\n" for name, value in variables.items()))
    try:
        yield
    finally:
        ACCESS.unlink(missing_ok=True)


def _running() -> list[psutil.Process]:
    """The processes of this checkout's `make up`: itself, and what a killed one has left behind."""
    own = psutil.Process()
    mine = {own.pid, *(parent.pid for parent in own.parents())}
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        is_up = process.info["cwd"] == str(CHECKOUT) and words[1:4] == ["-m", "local", "up"]
        is_part = any(word.startswith(f"{STATE}/") for word in words)
        if process.pid not in mine and (is_up or is_part):
            found.append(process)
    return found


def _interrupt(*_: object) -> NoReturn:
    # The first is enough: a second one would cut the ending short and leave processes behind.
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    print("\nEnding LiteLLM, PostgreSQL and the emulated AWS", flush=True)
    raise KeyboardInterrupt


def summary(gateway: LocalGateway) -> str:
    """How to use what runs: only what this company has."""
    user = f"you@{mail_domain(gateway.environment)}"
    key = gateway.user_key(user)
    parts = gateway.outside.parts
    shown = [
        name
        for there, name in (
            (parts.dashboard, "the dashboard"),
            (parts.slack, "Slack"),
            (parts.mail, "the mailbox"),
            (True, "calls, faults to inject"),
        )
        if there
    ]
    kinds = collections.Counter(resource["type"] for resource in gateway.emulator.not_emulated())
    not_emulated = "\n".join(f"  {kind} ({count})" for kind, count in sorted(kinds.items()))
    return f"""
API            {gateway.url}   (key of {user}: {key})
Admin UI       {gateway.url}/ui   (user admin; the password is UI_PASSWORD in {_short(gateway.state)}/secrets.json)
Outside world  {gateway.outside.control_url}   ({", ".join(shown)})
Logs           {_short(gateway.state)}/aws

Enforced as on AWS and by Slack:
  IAM       signatures and every deployed policy: {_short(gateway.emulator.decisions)}
  Edge      security group, web ACL, listener rules: curl --interface {OFFICE} calls from the office,
            {STRANGER} from elsewhere
  Services  SES's sandbox, 10 functions at once, service-linked roles, deletion protection, Slack's limits

Deployed, but without effect on this machine:
{not_emulated}

{_trial(gateway, key)}

Ctrl-C ends it.
"""


def _trial(gateway: LocalGateway, key: str) -> str:
    """How to ask a model, and to see that it was asked."""
    line = command(gateway, key)
    if not line:
        return "No model of config.yaml answers a text: ask for one as its provider's documentation says."
    reports = gateway.environment.report or gateway.environment.bill  # of which the figures' key is
    then = ", and a few seconds later `make usage ENV=local`" if reports else ""
    return f"Try it{then}:\n{line}"


def _short(path: Path) -> str:
    return str(path.relative_to(CHECKOUT)) if path.is_relative_to(CHECKOUT) else str(path)


if __name__ == "__main__":
    main()
