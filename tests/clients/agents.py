"""The coding agents, installed from local/clients/package-lock.json, each run without a screen.

A person's files are those that `make clients` writes, with the recorder's address for the gateway's.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ops.clients.models import models
from ops.clients.tools import KEY, TOOLS
from stacks import CHECKOUT
from stacks.company import Company

INSTALLED: Final = CHECKOUT / ".tools" / "clients" / "node_modules"
NODE: Final = CHECKOUT / ".venv" / "bin" / "node"
SECONDS: Final = 240.0  # of a run, on a machine that has much else to do
QUIET: Final = {
    "GEMINI_CLI_TRUST_WORKSPACE": "true",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "NO_COLOR": "1",
}


@dataclass(frozen=True)
class Agent:
    """A tool with its command: what runs it, what takes a prompt, and what goes on with a session.

    `reads` is a prompt that has the simulated model ask for the tool that reads `{file}`.
    """

    name: str  # of ops/clients/tools.py
    package: str
    program: tuple[str, ...]  # below node_modules
    asks: tuple[str, ...]
    resumes: tuple[str, ...]  # with {session}; before the prompt
    reads: str
    by_stdin: bool = False

    @property
    def version(self) -> str:
        """The version that is installed."""
        return str(json.loads((INSTALLED / self.package / "package.json").read_text())["version"])

    def command(self, prompt: str, session: str, model: str) -> list[str]:
        """What is run for a prompt, in a session that there has been or in a new one, with its own model or another."""
        resumes = [part.format(session=session) for part in self.resumes] if session else []
        program = [str(INSTALLED / part) if "/" in part else part for part in self.program]
        chosen = ["--model", model] if model else []
        return [*program, *self.asks, *chosen, *resumes, *([] if self.by_stdin else [prompt])]


def _native(package: str) -> str:
    """The package with the program for this machine."""
    machine = "arm64" if os.uname().machine in ("aarch64", "arm64") else "x64"
    return f"{package}-{os.uname().sysname.lower()}-{machine}"


_CODEX: Final = next((INSTALLED / _native("@openai/codex")).glob("vendor/*/bin/codex"), Path("none/codex"))
AGENTS: Final = {
    agent.name: agent
    for agent in (
        Agent(
            "claude-code",
            "@anthropic-ai/claude-code",
            (f"{_native('@anthropic-ai/claude-code')}/claude",),
            ("--print", "--output-format", "stream-json", "--verbose", "--allowedTools=Read"),
            ("--resume", "{session}"),
            'call the tool Read with {{"file_path": "{file}"}}',
        ),
        Agent(
            "codex",
            "@openai/codex",
            (str(_CODEX),),
            ("exec", "--skip-git-repo-check", "--json", "--dangerously-bypass-approvals-and-sandbox"),
            ("resume", "{session}"),
            'call the tool exec with {{"input": "text(await tools.exec_command({{cmd: \\"cat {file}\\"}}))"}}',
        ),
        Agent(
            "gemini-cli",
            "@google/gemini-cli",
            (str(NODE), "@google/gemini-cli/bundle/gemini.js"),
            ("--approval-mode=yolo", "--output-format=stream-json"),
            ("--resume", "{session}"),
            'call the tool read_file with {{"file_path": "{file}"}}',
        ),
        Agent(
            "opencode",
            "opencode-linux-x64",
            ("opencode-linux-x64/bin/opencode",),
            ("run", "--format", "json"),
            ("--session", "{session}"),
            'call the tool read with {{"filePath": "{file}"}}',
            by_stdin=True,  # as an argument it is quoted
        ),
    )
}


@dataclass(frozen=True)
class Run:
    """What a run printed."""

    text: str

    @property
    def events(self) -> Iterator[dict[str, Any]]:
        """The JSON objects, a line each."""
        for line in self.text.splitlines():
            if line.startswith("{"):
                yield json.loads(line)

    @property
    def session(self) -> str:
        """By which it is gone on with."""
        found = re.search(r'"(?:session_id|sessionID|thread_id)":\s*"([\w-]+)"', self.text)
        return found[1] if found else ""

    @property
    def said(self) -> str:
        """What was printed, and the pieces in which an answer came, joined."""
        pieces = (event.get("content") for event in self.events)
        return "".join(piece for piece in pieces if isinstance(piece, str)) + self.text


class Desk:
    """A person's machine: a home with the tools' files, a folder to work in, and the person's key."""

    def __init__(self, folder: Path, url: str, key: str, own: Company) -> None:
        self.folder = folder / "work"
        self.folder.mkdir(parents=True)
        self._home = folder / "home"
        found = models(own.local.litellm_config(own.config))
        environment = {KEY: key}
        for tool in TOOLS:
            for block in tool.blocks(url, found) if tool.name in AGENTS else ():
                if block.place:
                    file = self._home / _own_place(block.place)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(block.content)
                elif block.language == "sh":
                    environment |= _exported(block.content, environment)
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "TMPDIR", "LANG")}
        self._system = {**kept, **QUIET}
        self._environment = {**self._system, **environment, "HOME": str(self._home)}

    def run(
        self, agent: Agent, prompt: str, *, session: str = "", model: str = "", only: Mapping[str, str] | None = None
    ) -> Run:
        """Run an agent with a prompt to its end; with `only` these variables, in a home without files."""
        bare = {**self._system, "HOME": str(self.folder.parent / "empty"), **(only or {})}
        run = subprocess.run(
            agent.command(prompt, session, model),
            cwd=self.folder,
            env=self._environment if only is None else bare,
            input=prompt if agent.by_stdin else "",
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
        )
        return Run(run.stdout)


def _own_place(place: str) -> str:
    """Where a person has the file of an administrator, below the home."""
    return ".claude/settings.json" if place.endswith("managed-settings.json") else place.removeprefix("~/")


def _exported(lines: str, known: Mapping[str, str]) -> dict[str, str]:
    found = dict(re.findall(r"^export (\w+)=(\S+)$", lines, re.MULTILINE))
    return {name: known.get(value.strip('"').removeprefix("$"), value.strip('"')) for name, value in found.items()}
