"""Asks what must be known of a company, and writes its two files: `make init`.

`company/environments.py` and `company/config.yaml` come of the answers. They are checked as `cdk synth` checks them
before they are put in place, all of them or none; `company/answers.yaml` keeps the answers. Run again, it proposes
these, and changes in the two files only what is answered anew: what people have changed by hand stays. Where both are
of one place, nothing is written but the new texts beside the files (`environments.py.new`). Then it tells what each
environment costs a month at rest, and how much more or less than before, and lists what has to be done by hand
elsewhere. `?` explains a question.

Without a terminal: `make init ARGS="--answers answers.yaml"`, with a key for each question that has no default, or
whose default is not wanted; run again, the file need have only what is new. `environments: {stg: false}` removes one.

Integrates with AWS as `ops/init/checks.py` says, where there are credentials; never with the deployed gateway.

Exit codes: 0 the files are as they were answered (with --dry-run: would be); 1 a person has to merge, in one sentence a
file; 2 a mistake or an error, in one sentence each; 130 interrupted, and nothing was written.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import boto3
from pydantic import ValidationError

from ops.access import OpsError
from ops.cost.rest import Rest, at_rest_of, told
from ops.init import answers as kept
from ops.init import by_hand, config_file, files, settings_file
from ops.init.answers import Answers
from ops.init.checks import Aws
from ops.init.dialogue import Ask, Listed, Terminal, answered
from ops.init.meaning import environment_of
from ops.init.questions import KEYS
from stacks import CHECKOUT
from stacks.company import SETTINGS, Company, folder_to_write, load
from stacks.litellm_config import ConfigError
from stacks.settings import SettingsError

CONFIG: Final = "config.yaml"


def texts(answers: Answers) -> dict[str, str]:
    """The files that the answers come to: both, or the settings alone where config.yaml is of its own."""
    settings = {SETTINGS: settings_file.written(answers)}
    return settings if answers.company.get("own_config") else {**settings, CONFIG: config_file.written(answers)}


def checked(folder: Path) -> tuple[Company, tuple[str, ...]]:
    """The company in a folder, if each of its environments can be synthesized, and what is worth knowing of it.

    Raises
    ------
    SettingsError, ConfigError
        What cannot work.
    """
    own = load(folder)
    warnings: dict[str, None] = {}
    for environment in own.all.values():
        config = environment.litellm_config(own.config)
        environment.check_connections(config.database_pool_limit)
        environment.check_models({model.name for model in config.models}, config.access_groups)
        warnings |= dict.fromkeys(warning.removeprefix(f"{own.config}: ") for warning in config.warnings)
    return own, tuple(warnings)


def _base(stored: Answers | None) -> Mapping[str, str] | None:
    """What the earlier answers come to; None if there were none, or they cannot work any more."""
    try:
        return texts(stored) if stored else None
    except (ValidationError, SettingsError, ValueError):
        return None


def _asked(arguments: argparse.Namespace, stored: Answers | None, aws: Aws, ask: Ask) -> Answers:
    def warnings(answers: Answers, name: str) -> Iterator[str]:
        return aws.of_place(environment_of(answers, name))

    if arguments.answers:
        listed = Listed(str(arguments.answers), kept.given_in(arguments.answers, KEYS), stored)
        found = answered(listed, stored, aws, warnings)
        listed.finish()
        return found
    try:
        return answered(Terminal(ask), stored, aws, warnings)
    except EOFError as error:
        print()
        raise OpsError(
            "the input has ended before all was answered, and nothing was written: without a terminal, give the "
            'answers in a file, make init ARGS="--answers answers.yaml".'
        ) from error


Price = Callable[[Path], Rest | None]
"""What the environments of the company in a folder cost at rest."""


def _initialize(arguments: argparse.Namespace, folder: Path, aws: Aws, ask: Ask, price: Price | None) -> int:
    stored = kept.stored_in(folder / kept.FILE, KEYS)
    print(aws.told())
    answers = _asked(arguments, stored, aws, ask)
    new = texts(answers)
    merge = files.merged(folder, _base(stored), new)
    with tempfile.TemporaryDirectory() as scratch:
        if CONFIG not in new and (folder / CONFIG).exists():
            shutil.copy2(folder / CONFIG, scratch)
        own, warnings = _looked_at(new if merge.conflicts else merge.texts, new, Path(scratch))
        warnings += tuple(warning for each in own.environments.values() for warning in aws.of_models(each, own.config))
        todo = by_hand.told(by_hand.steps(answers, own))
    for warning in warnings:
        print(f"! {warning}")
    result = {**merge.texts, kept.FILE: kept.text_of(answers)}
    if arguments.dry_run:
        print("\n".join(files.differences(folder, result)) or "Nothing would change.")
        return _told_conflicts(merge)
    if merge.conflicts:
        files.beside(folder, merge.texts)
        return _told_conflicts(merge)
    with tempfile.TemporaryDirectory() as before:
        _copy(folder, Path(before))
        written = files.put(folder, result)
        files.tidy(folder, merge.texts)
        print("\n" + "\n".join(f"Written: {_short(file)}" for file in written) if written else "\nNothing has changed.")
        if price and any(file.name in (SETTINGS, CONFIG) for file in written):
            _tell_costs(folder, Path(before), price)
    print(f"\n{todo}")
    return 0


def _copy(folder: Path, to: Path) -> None:
    """Keep the two files as they are now, where there are any."""
    for name in (SETTINGS, CONFIG):
        if (folder / name).is_file():
            shutil.copy2(folder / name, to)


def _tell_costs(folder: Path, before: Path, price: Price) -> None:
    """What was written, priced, beside what was there before; nothing where it does not synthesize."""
    print("\nWhat it costs a month at rest, in USD of AWS's list prices and beside the models:", flush=True)
    now = price(folder)
    if now is None:
        print("  it could not be priced: make synth says why")
        return
    old = price(before) if (before / SETTINGS).is_file() else None
    print("\n".join(told(now, old)))


def _looked_at(found: Mapping[str, str], new: Mapping[str, str], scratch: Path) -> tuple[Company, tuple[str, ...]]:
    """As `checked`, of texts. What was changed by hand may not go with what is new, though no line is of both."""
    for name, text in found.items():
        (scratch / name).write_text(text, "utf-8")
    try:
        return checked(scratch)
    except (SettingsError, ConfigError) as error:
        reason = str(error).replace(f"{scratch}/", "").rstrip(".").replace("\n", "; ")
        what = (
            "the answers cannot work" if found == new else "what was changed by hand does not go with the new answers"
        )
        raise OpsError(f"{what}, and nothing was written: {reason}.") from error


def _told_conflicts(merge: files.Merge) -> int:
    for sentence in merge.conflicts.values():
        print(f"init: {sentence}.", file=sys.stderr)
    return 1 if merge.conflicts else 0


def _short(file: Path) -> str:
    return str(file.relative_to(CHECKOUT)) if file.is_relative_to(CHECKOUT) else str(file)


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(prog="python -m ops.init", description=(__doc__ or "").split("\n\n")[0])
    result.add_argument("--answers", type=Path, metavar="FILE", help="answers in YAML, instead of a terminal's")
    result.add_argument("--dry-run", action="store_true", help="show what would be written, as a diff")
    return result


def main(
    argv: list[str] | None = None,
    *,
    folder: Path | None = None,
    session: boto3.Session | None = None,
    ask: Ask = input,
    price: Price | None = None,
) -> int:
    """Run the command and return its exit code. Tests give the folder, the session and the person; without `price`
    nothing is told of costs.
    """
    arguments = parser().parse_args(argv)
    place = folder or folder_to_write()
    return files.run_writing("init", lambda: _initialize(arguments, place, Aws(session), ask, price))


if __name__ == "__main__":
    sys.exit(main(price=at_rest_of))
