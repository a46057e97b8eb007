"""Brings over a LiteLLM that runs elsewhere: `make import FILE=config.yaml`.

From its config.yaml, and with `--around` the docker-compose.yaml, the values of its Helm chart or the task definition
of ECS around that, come `company/config.yaml`, `company/environments.py`, the names of the secrets, and a report,
`company/import.md`: what was kept, changed and why, added and why, dropped and why, and what is to be decided. What the
files cannot tell is asked as `make init` asks it, at the terminal or with `--answers`. The reader of `cdk synth` judges
what is written. No value of a secret is taken along, and the files that are brought stay as they are.

Exit codes: 0 the files are written (with --dry-run: the report is printed); 2 a mistake or an error, in one sentence
each; 130 interrupted, and nothing was written.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3

from ops.access import OpsError
from ops.importing.answering import Brought, propose, settled, unknown_variables, write_out_misfits
from ops.importing.around import take_around
from ops.importing.bringing import SECTIONS, Bringing
from ops.importing.judging import judged, reader_of
from ops.importing.ledger import Fate, Ledger
from ops.importing.needed import add_needed
from ops.importing.prepare import prepare
from ops.importing.report import FILE as REPORT
from ops.importing.report import Report
from ops.importing.settling import settle
from ops.importing.source import source_in
from ops.importing.tree import Tree
from ops.importing.writing import written
from ops.init import answers as kept
from ops.init import by_hand, files, settings_file
from ops.init.__main__ import CONFIG, checked
from ops.init.answers import Answers
from ops.init.checks import Aws
from ops.init.dialogue import Answering, Ask, Listed, Terminal, answered
from ops.init.meaning import environment_of
from ops.init.questions import KEYS
from ops.secrets import MADE_BY_DEPLOYMENT
from stacks import CHECKOUT
from stacks.company import SETTINGS, folder_to_write
from stacks.litellm_config import PROVIDER_SETTINGS, ConfigError, LiteLlmConfig, image_version, load_config
from stacks.settings import Environment, SettingsError

_NAMELESS: Final = "name the file that is to be brought over: make import FILE=config.yaml."
_UNANSWERED: Final = (
    "the input has ended before all was answered, and nothing was written: without a terminal, give the answers in a "
    'file, make import FILE=… ARGS="--answers answers.yaml", or look first with ARGS=--dry-run.'
)


@dataclass(frozen=True)
class Begun:
    """The file as far as it can be brought without an answer, and what it said."""

    bringing: Bringing
    original: dict[str, Any]
    comments: int


def begun(path: Path, around: Sequence[Path] = ()) -> Begun:
    """Read the files, and change what needs no judge.

    Raises
    ------
    OpsError
        One cannot be read, or is not what it should be: one sentence.
    """
    ledger = Ledger()
    source = source_in(path, ledger)
    bringing = Bringing(source.name, Tree(source.document), ledger)
    take_around(bringing, source, list(around))
    prepare(bringing)
    add_needed(bringing)
    write_out_misfits(bringing)
    comments = sum(bool(re.match(r"\s*#|.*\s#\s", line)) for line in path.read_text("utf-8").splitlines())
    return Begun(bringing, source.document, comments)


def config_text(bringing: Bringing) -> str:
    """The new config.yaml."""
    added: dict[str, set[str]] = {section: set() for section in SECTIONS}
    for entry in bringing.ledger.told(Fate.ADDED):
        if len(entry.place) == 2 and entry.place[0] in added:
            added[str(entry.place[0])].add(str(entry.place[1]))
    return written(bringing.tree.document(), added)


def looked_at(bringing: Bringing) -> tuple[LiteLlmConfig, tuple[str, ...]]:
    """Mend the file as if every question were answered so that it can work, and propose answers by what is left."""
    own = environment_of(Answers({}, {"any": {}}), "any").plain_variables
    names = (*unknown_variables(bringing), *PROVIDER_SETTINGS)
    provided: dict[str, str | None] = {**own, **{name: bringing.variables.value(name) for name in names}}

    def read(file: Path) -> LiteLlmConfig:
        return load_config(file, provided=provided)

    found = judged(bringing, [read])
    propose(bringing)
    return found


def preview(begun: Begun) -> tuple[LiteLlmConfig, Report]:
    """What would become of it with every question answered so that it can work."""
    bringing = begun.bringing
    config, warnings = looked_at(bringing)
    missing = [name for name in unknown_variables(bringing) if bringing.variables.value(name) is None]
    return config, _report(begun, config.secrets, warnings, missing)


def _report(begun: Begun, secrets: Sequence[str], warnings: Sequence[str], missing: Sequence[str] = ()) -> Report:
    settle(begun.bringing, secrets)
    people = [name for name in secrets if name not in MADE_BY_DEPLOYMENT]
    return Report(begun.bringing, people, warnings, begun.original, begun.comments, missing)


def _bring(arguments: argparse.Namespace, folder: Path, aws: Aws, ask: Ask) -> int:
    if not arguments.file:
        raise OpsError(_NAMELESS)
    there = [name for name in (SETTINGS, CONFIG) if (folder / name).exists()]
    if there and not (arguments.force or arguments.dry_run):
        raise OpsError(
            f"{_short(folder)} has {' and '.join(there)} already: give --force to write them anew, or --into DIR for "
            "another folder."
        )
    found = begun(Path(arguments.file), arguments.around)
    bringing, version = found.bringing, image_version(CHECKOUT / "container" / "Dockerfile")
    if arguments.dry_run:
        _, report = preview(found)
        print(f"{report.text(version)}\n--- {CONFIG}\n{config_text(bringing)}", end="")
        return 0
    stored = kept.stored_in(folder / kept.FILE, KEYS) if arguments.force else None
    looked_at(bringing)
    print(aws.told())
    answers = _answered(arguments, bringing, stored, aws, ask)
    environments = [environment_of(answers, name) for name in answers.named]
    _, warnings = judged(bringing, [reader_of(each) for each in environments], environments)
    texts = {SETTINGS: settings_file.written(answers), CONFIG: config_text(bringing)}
    with tempfile.TemporaryDirectory() as scratch:
        secrets, todo = _checked(texts, answers, Path(scratch), bringing)
    report = _report(found, secrets, warnings)
    result = {**texts, kept.FILE: kept.text_of(answers), REPORT: report.text(version)}
    changed = files.put(folder, result)
    print("\n" + "\n".join(f"Written: {_short(file)}" for file in changed) if changed else "\nNothing has changed.")
    print(f"\n{bringing.file}: {report.counts}; {_short(folder / REPORT)} names each, with the reason.")
    for sentence in report.decisions():
        print(f"? {sentence}")
    named = "" if folder == folder_to_write() else f" COMPANY={_short(folder)}"
    print(f"\nTo try it on this machine: make up{named}\n\n{todo}")
    return 0


def _answered(arguments: argparse.Namespace, bringing: Bringing, stored: Answers | None, aws: Aws, ask: Ask) -> Answers:
    def warnings(answers: Answers, name: str) -> Iterator[str]:
        return aws.of_place(environment_of(answers, name))

    def asked(answering: Answering) -> Answers:
        brought = Brought(answering, settled(bringing), bringing.presets, again=stored is not None)
        return answered(brought, stored, aws, warnings)

    if arguments.answers:
        listed = Listed(str(arguments.answers), kept.given_in(arguments.answers, KEYS), stored)
        found = asked(listed)
        listed.finish()
        return found
    if names := [name for name in unknown_variables(bringing) if bringing.variables.value(name) is None]:
        print(f"config.yaml refers to {', '.join(names)}: the question after plain variables takes the values.")
    try:
        return asked(Terminal(ask))
    except EOFError as error:
        print()
        raise OpsError(_UNANSWERED) from error


def _checked(texts: dict[str, str], answers: Answers, scratch: Path, bringing: Bringing) -> tuple[tuple[str, ...], str]:
    """The names of the secrets, and what is left to do by hand, once both files are as `cdk synth` takes them."""
    for name, text in texts.items():
        (scratch / name).write_text(text, "utf-8")
    try:
        own, _ = checked(scratch)
    except (SettingsError, ConfigError) as error:
        reason = bringing.hidden.clean(str(error).replace(f"{scratch}/", "").rstrip("."))
        raise OpsError(f"what was answered cannot work, and nothing was written: {reason}.") from None
    secrets: dict[str, None] = {}
    for environment in own.environments.values():
        secrets |= dict.fromkeys(_secrets(environment, own.config))
    return tuple(sorted(secrets)), by_hand.told(by_hand.steps(answers, own))


def _secrets(environment: Environment, config: Path) -> tuple[str, ...]:
    return (*environment.litellm_config(config).secrets, *environment.function_secrets)


def _short(file: Path) -> str:
    return str(file.relative_to(CHECKOUT)) if file.is_relative_to(CHECKOUT) else str(file)


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(prog="python -m ops.importing", description=(__doc__ or "").split("\n\n")[0])
    result.add_argument("file", nargs="?", metavar="FILE", help="LiteLLM's config.yaml, or Helm values that have it")
    result.add_argument(
        "--around",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="docker-compose.yaml, values of the Helm chart, or task definition of ECS; may be given more than once",
    )
    result.add_argument("--answers", type=Path, metavar="FILE", help="answers in YAML, instead of a terminal's")
    result.add_argument("--into", type=Path, metavar="DIR", help="write into another folder than company/")
    result.add_argument("--force", action="store_true", help="write the files anew that are there")
    result.add_argument("--dry-run", action="store_true", help="ask nothing, write nothing: print the report")
    return result


def main(
    argv: list[str] | None = None,
    *,
    folder: Path | None = None,
    session: boto3.Session | None = None,
    ask: Ask = input,
) -> int:
    """Run the command and return its exit code. Tests give the folder, the session and the person."""
    arguments = parser().parse_args(argv)
    into = folder or (arguments.into.resolve() if arguments.into else folder_to_write())
    return files.run_writing("import", lambda: _bring(arguments, into, Aws(session), ask))


if __name__ == "__main__":
    sys.exit(main())
