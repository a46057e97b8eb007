"""Whatever was asked of a running gateway: no prompt, answer, secret, key or mail address is in what it told or logged.

Before a gateway ends, `write` notes what it has told Datadog and Slack, what AWS's API shows of it to who may read no
secret, and the command lines of its processes. Once all tests have run, `leaks` looks through that, all logs, and the
templates, for what the end-to-end tests have planted and for the gateway's own secrets: in every shape of call, and in
every failure, that any of them has tried.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil

from local.outside.completion import COMPLETION_PHRASE

if TYPE_CHECKING:
    from local.gateway import LocalGateway

TOLD: Final = "told.json"
SECRETS: Final = "told-secrets.json"
PLANTED: Final[Mapping[str, str]] = {
    "the-marker-of-a-secret-prompt": "a prompt",  # of test_records.py: messages, instructions, tools, names of models
    "Say hello": "a prompt",  # of every shape of call in test_costs.py, and of routes, SDKs, figures, completions
    "To be embedded": "a prompt",
    "The document of ": "a prompt that is cached",
    COMPLETION_PHRASE: "an answer",
}
"""Texts of prompts and answers, and what each is."""

KEYS: Final = re.compile(r"\bsk-[A-Za-z0-9_-]{16,}|\bxox[a-z]-[A-Za-z0-9-]{8,}")
ADDRESSES: Final = re.compile(r"[\w.+-]+@[\w-]*\.?example\.(?:com|org)")
KEY_LINE: Final = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
SHORTEST: Final = 12  # characters of a secret that is looked for: a shorter one could be any word


def write(gateway: LocalGateway) -> None:
    """Note in its folder what a gateway has told, and which secrets it has."""
    prefix = gateway.environment.parameter_prefix
    pages = gateway.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=prefix, WithDecryption=True)
    parameters = [parameter for page in pages for parameter in page["Parameters"]]
    secret = {one["Name"]: one["Value"] for one in parameters if one["Type"] == "SecureString"}
    made: Mapping[str, str] = json.loads(_text(gateway.state / "keys.json") or "{}")
    kept = gateway.state / SECRETS
    kept.touch(mode=0o600)
    kept.write_text(json.dumps(secret | {"a person's key": " ".join(made.values())}))
    told = {
        "datadog": gateway.outside.datadog(),
        "slack": gateway.outside.slack(),
        "parameters": [one for one in parameters if one["Type"] != "SecureString"],
        "stacks": [*_stacks(gateway.client("cloudformation"))],
        "functions": [*_functions(gateway.client("lambda"))],
        "processes": [*_processes()],
    }
    (gateway.state / TOLD).write_text(json.dumps(told, default=str))


def leaks(folder: Path) -> list[str]:
    """A line for each file below a folder in which something is that nobody is to see; nothing if no gateway ran."""
    # Where `gateway_of` has it made, of this process and of each of xdist's.
    places = (f"gateway*/{TOLD}", f"popen-*/gateway*/{TOLD}")
    states = {file.parent.resolve() for place in places for file in folder.glob(place)}
    return [line for state in sorted(states) for line in _of(state)]


def _of(state: Path) -> Iterator[str]:
    values = json.loads((state / SECRETS).read_text()).items()
    planted = dict(PLANTED)
    for name, value in values:
        planted |= {part: name for part in _parts(value) if len(part) >= SHORTEST}
    logs = [
        *state.glob("aws/logs/*")
    ]  # of containers and functions; what the emulator itself prints is nothing deployed
    others = [state / TOLD, *state.glob("*.log"), *state.glob("cdk.out/**/*.template.json")]
    for file in (*logs, *others):
        text = _text(file)
        found = {what for word, what in planted.items() if word in text}
        found |= {"something that looks like a key"} if KEYS.search(text) else set()
        found |= {f"the address {one}" for one in ADDRESSES.findall(text)} if file in logs else set()
        for what in sorted(found):
            yield f"{what} is in {file}"


def _parts(secret: str) -> Iterator[str]:
    """The words of a secret; of a key file the lines of its key, as nothing else in it is secret."""
    if not secret.lstrip().startswith("{"):
        yield from secret.split()
        return
    for value in json.loads(secret).values():
        yield from (line for line in str(value).splitlines() if KEY_LINE.fullmatch(line))


def _stacks(cloudformation: Any) -> Iterator[Any]:  # noqa: ANN401 - boto3's clients have no common type
    for page in cloudformation.get_paginator("describe_stacks").paginate():
        for stack in page["Stacks"]:
            yield stack
            yield cloudformation.describe_stack_events(StackName=stack["StackName"])["StackEvents"]


def _functions(functions: Any) -> Iterator[Any]:  # noqa: ANN401 - as above
    for page in functions.get_paginator("list_functions").paginate():
        yield from page["Functions"]


def _processes() -> Iterator[list[str]]:
    """The command lines of all that the tests' process has started: what everybody on a machine can read."""
    for process in psutil.Process().children(recursive=True):
        try:
            yield process.cmdline()
        except psutil.Error:  # it has ended meanwhile
            continue


def _text(file: Path) -> str:
    return file.read_text("utf-8", errors="replace") if file.is_file() else ""
