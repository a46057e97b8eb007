"""The AWS CLI's commands as the documentation has them: found in its scripts, held against botocore's models, and run.

    python -m tests.aws_cli ssm get-parameter --name /litellm/local/cluster --query Parameter.Value --output text

runs one as the AWS CLI would, of which it knows as much as the documentation uses: options of an operation as words, as
Key=Value,… or as JSON, `wait`, --query, and --output text or json. The AWS CLI itself is not installed here.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
import botocore.session
import jmespath  # type: ignore[import-untyped]
from botocore.exceptions import ClientError, UnknownServiceError, WaiterError
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from botocore.validate import ParamValidator
from botocore.waiter import WaiterModel

# The AWS CLI's own options, and those of its commands that are no operation of an API: its reference, version 2.
EVERYWHERE = frozenset({"--query", "--output", "--region", "--profile", "--cli-binary-format", "--max-items"})
CLI_ONLY = {
    ("logs", "tail"): frozenset({"--since", "--follow", "--filter-pattern", "--format"}),
    ("ecr", "get-login-password"): frozenset[str](),
}
FROM_FILE = "--cli-input-json"  # all other options of an operation
OUTPUT_FILE = {("lambda", "invoke")}  # commands with a file's name behind their options


def simple_commands(script: str) -> Iterator[str]:
    """Each command of a script by itself, also those within $(…), which is `$_` in the one around it."""
    script = re.sub(r"\\\n\s*", " ", script)
    nested: list[tuple[list[str], str]] = []  # of each $( that is open: what came before, and the quote that it is in
    current: list[str] = []
    quote, position = "", 0
    while position < len(script):
        letter, ahead = script[position], script[position : position + 2]
        position += 1
        if quote != "'" and ahead == "$(":
            nested.append((current, quote))
            current, quote = [], ""
            position += 1
        elif quote:
            current.append(letter)
            quote = "" if letter == quote else quote
        elif letter == ")" and nested:
            yield "".join(current)
            current, quote = nested.pop()
            current.append("$_")
        elif letter == "#" and (not current or current[-1].isspace()):
            position = script.find("\n", position) % (len(script) + 1)
        elif letter in "\n;|&{}" and ahead != "${":
            yield "".join(current)
            current = []
        else:
            current.append(letter)
            quote = letter if letter in "\"'" else ""
    yield "".join(current)


@cache
def _session() -> botocore.session.Session:
    return botocore.session.Session()


@cache
def _waiters(service: str) -> WaiterModel | None:
    try:
        return _session().get_waiter_model(service)
    except (UnknownServiceError, ValueError):
        return None


@cache
def operations(service: str) -> dict[str, OperationModel]:
    """The operations of a service by the CLI's names for them, its waiters included."""
    model, waiters = _session().get_service_model(service), _waiters(service)
    found = {botocore.xform_name(name, "-"): model.operation_model(name) for name in model.operation_names}
    for name in waiters.waiter_names if waiters else ():
        assert waiters
        found[f"wait {botocore.xform_name(name, '-')}"] = model.operation_model(waiters.get_waiter(name).operation)
    return found


@dataclass(frozen=True)
class Command:
    """A call of the AWS CLI: its `options` with the words after each."""

    service: str
    name: str
    options: dict[str, list[str]]

    @classmethod
    def read(cls, words: list[str]) -> Command:
        """The command of these words, without `aws` itself."""
        service, name, *rest = words
        if name == "wait":
            name, *rest = f"wait {rest[0]}", *rest[1:]
        options: dict[str, list[str]] = {}
        last: list[str] = []
        for word in rest:
            if word.startswith("--"):
                last = options.setdefault(word, [])
            else:
                last.append(word)
        if (service, name) in OUTPUT_FILE:
            last.pop()
        return cls(service, name, options)

    @classmethod
    def of_script(cls, script: str) -> Iterator[Command]:
        """Every call of the AWS CLI in a script."""
        for command in simple_commands(script):
            words = [word for word in shlex.split(command) if not re.match(r"\d?[<>]", word)]
            while words and re.match(r"\w+=", words[0]):  # variables for the command
                words = words[1:]
            if words[:1] == ["aws"]:
                yield cls.read(words[1:])

    @property
    def _shape(self) -> StructureShape:
        shape = operations(self.service)[self.name].input_shape
        return shape or StructureShape("Nothing", {"type": "structure", "members": {}})

    @property
    def _members(self) -> dict[str, tuple[str, Shape]]:
        return {f"--{botocore.xform_name(name, '-')}": (name, shape) for name, shape in self._shape.members.items()}

    def findings(self) -> list[str]:
        """What is wrong with it: the operation, its options, those that are missing, and values that can be read."""
        if (self.service, self.name) in CLI_ONLY:
            return [
                f"no option {option}" for option in self.options.keys() - CLI_ONLY[self.service, self.name] - EVERYWHERE
            ]
        if self.name not in operations(self.service):
            return [f"{self.service} has no {self.name}"]
        members = self._members
        switches = {f"--no-{option[2:]}" for option, (_, shape) in members.items() if shape.type_name == "boolean"}
        known = members.keys() | switches | EVERYWHERE | {FROM_FILE}
        wrong = [f"no option {option}" for option in sorted(self.options.keys() - known)]
        given = {members[option][0] for option in self.options if option in members}
        if FROM_FILE not in self.options:
            wrong += [f"{name} is missing" for name in self._shape.required_members if name not in given]
        for option in self.options.keys() & members.keys():
            wrong += (f"{option}: {problem}" for problem in _problems(self.options[option], members[option][1]))
        return wrong

    def run(self) -> str:
        """What the AWS CLI would print.

        Raises
        ------
        ClientError, WaiterError
            AWS refused it, or what was waited for has failed, or did not come in time.
        """
        members = self._members
        parameters = {
            members[option][0]: _value(words, members[option][1])
            for option, words in self.options.items()
            if option in members
        }
        client: Any = boto3.client(self.service)  # type: ignore[call-overload]
        if self.name.startswith("wait "):
            client.get_waiter(self.name.removeprefix("wait ").replace("-", "_")).wait(**parameters)
            return ""
        method = self.name.replace("-", "_")
        if client.can_paginate(method):
            answer = client.get_paginator(method).paginate(**parameters).build_full_result()
        else:
            answer = getattr(client, method)(**parameters)
            answer.pop("ResponseMetadata", None)
        found = jmespath.search(self.options["--query"][0], answer) if "--query" in self.options else answer
        text = self.options.get("--output") == ["text"]
        return _as_text(found) if text else json.dumps(found, indent=4, default=str)


def _problems(words: list[str], shape: Shape) -> Iterator[str]:
    """What is wrong with an option's value; variables and $(…) could be anything."""
    if shape.type_name == "boolean":
        yield from (f"a switch has no value: {word}" for word in words)
        return
    inner = shape.member if isinstance(shape, ListShape) else shape
    choices = getattr(inner, "enum", None)
    for word in words:
        if word.startswith(("{", "[")) and inner.type_name != "blob":
            value = json.loads(re.sub(r"\$\{?\w+\}?", "x", word))
            report = ParamValidator().validate(value, inner if isinstance(value, dict) else shape)
            yield from [report.generate_report()] if report.has_errors() else []
        elif "$" in word:
            continue
        elif choices and word not in choices:
            yield f"{word} is none of {', '.join(choices)}"
        elif isinstance(inner, StructureShape):
            keys = re.findall(r"(?:^|,)(\w+)=", word)
            yield from (f"{inner.name} has no {key}" for key in keys if key not in inner.members)
            yield from [] if keys else [f"{word} is no {inner.name}"]


def _value(words: list[str], shape: Shape) -> Any:  # noqa: ANN401 - whatever the API takes
    """An option's words as a parameter of the API."""
    if shape.type_name == "boolean":
        return True
    if len(words) == 1 and words[0].startswith(("{", "[")) and shape.type_name != "blob":
        return json.loads(words[0])
    if isinstance(shape, ListShape):
        return [_value([word], shape.member) for word in words]
    (word,) = words
    if isinstance(shape, StructureShape | MapShape):
        pairs = (pair.split("=", 1) for pair in word.split(","))
        members = shape.members if isinstance(shape, StructureShape) else {}
        return {key: _value([text], members[key]) if key in members else text for key, text in pairs}
    return {"integer": int, "long": int, "float": float, "double": float}.get(shape.type_name, str)(word)


def _as_text(found: Any) -> str:  # noqa: ANN401 - whatever the API answers
    if isinstance(found, list):
        separator = "\n" if any(isinstance(one, list) for one in found) else "\t"
        return separator.join(map(_as_text, found))
    return str(found)


def main(words: list[str]) -> int:
    """Run a command and return its exit code, the AWS CLI's."""
    try:
        print(Command.read(words).run())
    except (ClientError, WaiterError) as error:
        print(error, file=sys.stderr)
        return 254 if isinstance(error, ClientError) else 255
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
