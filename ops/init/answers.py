"""What has been answered: kept beside the two files in `answers.yaml`, and given in a file of the same form.

A key for each question (`ops/init/questions`), those of an environment below `environments.<name>`. A part that may
be left out (`slack`, `releases`, an environment's `vpc`, …) is a mapping where it is wanted, or `true` if its questions
all have a default that will do; `false` where it is not. `null` answers a question with nothing.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from ops.access import OpsError
from stacks.litellm_config import StrictLoader

FILE: Final = "answers.yaml"
_SEAL: Final = "# sha256: "
_HEAD: Final = """\
# What `make init` was answered last: the defaults of its next run. It is no place for changes: those go into
# environments.py and config.yaml, or into a file of answers of your own (make init ARGS="--answers FILE").
"""


@dataclass
class Answers:
    """The answers of the company as a whole by their dotted keys, and of each environment by its name."""

    company: dict[str, Any] = field(default_factory=dict)
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)

    def of(self, name: str | None) -> dict[str, Any]:
        """Those of an environment, or of the company as a whole."""
        return self.company if name is None else self.environments.setdefault(name, {})

    @property
    def named(self) -> tuple[str, ...]:
        """The environments' names, in order."""
        return tuple(self.environments)


@dataclass(frozen=True)
class Keys:
    """The keys that there are: of the company and of an environment; those of `sections` are parts to be left out."""

    company: Collection[str]
    environment: Collection[str]
    sections: Collection[str]


@dataclass
class Given:
    """What a file answers. `removed` are environments that are to go; `findings` what is wrong with the file."""

    answers: Answers = field(default_factory=Answers)
    removed: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


def given_in(file: Path, keys: Keys) -> Given:
    """The answers that a person gives in a file.

    Raises
    ------
    OpsError
        The file cannot be read, or is no YAML: where and why.
    """
    return _taken_apart(_document(file), keys)


def stored_in(file: Path, keys: Keys) -> Answers | None:
    """The answers of the last run; None if there was none.

    Raises
    ------
    OpsError
        Somebody has edited them, so that they do not tell any more what the two files were made from.
    """
    if not file.exists():
        return None
    text = file.read_text("utf-8")
    head, _, body = text.partition(_SEAL)
    seal, _, body = body.partition("\n")
    if not head or seal != _digest(body):
        raise OpsError(
            f"{file} has been edited since make init wrote it: restore it (git has it), and give what you have changed "
            'there in a file of your own, with ARGS="--answers FILE".'
        )
    # A question that a newer version does not ask any more is no mistake of the company's.
    return _taken_apart(_document(file), keys).answers


def text_of(answers: Answers) -> str:
    """What `answers.yaml` says."""
    document = {
        "environments": {name: _nested(own) for name, own in answers.environments.items()},
        **_nested(answers.company),
    }
    body = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    return f"{_HEAD}{_SEAL}{_digest(body)}\n{body}"


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _document(file: Path) -> dict[str, Any]:
    try:
        document = yaml.load(file.read_text("utf-8"), StrictLoader)  # noqa: S506 - it is a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise OpsError(
            f"{file}: it cannot be read ({type(error).__name__}): name a file of answers in YAML."
        ) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise OpsError(f"{file}: line {line}: not valid YAML: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise OpsError(f"{file}: not valid YAML: {str(error).splitlines()[0]}.") from error
    if not isinstance(document, dict):
        raise OpsError(f"{file}: it must be a mapping of questions to answers, as in `slack: false`.")
    return document


def _taken_apart(document: Mapping[Any, Any], keys: Keys) -> Given:
    given = Given()
    rest = {key: value for key, value in document.items() if key != "environments"}
    given.answers.company = _flat(rest, keys.company, keys.sections, "", given.findings)
    environments = document.get("environments", {})
    if not isinstance(environments, dict):
        given.findings.append("environments: it must be a mapping of names to answers, as in `dev: {size: small}`")
        return given
    for name, own in environments.items():
        where = f"environments.{name}"
        if own is False:
            given.removed.append(str(name))
        elif own is None or isinstance(own, dict):
            given.answers.environments[str(name)] = _flat(
                own or {}, keys.environment, keys.sections, f"{where}.", given.findings
            )
        else:
            given.findings.append(f"{where}: it must be a mapping of questions to answers; `false` removes it")
    return given


def _flat(
    mapping: Mapping[Any, Any], keys: Collection[str], sections: Collection[str], where: str, findings: list[str]
) -> dict[str, Any]:
    """The answers by dotted keys. `where` is what goes before a key in a finding."""
    return dict(_walk(mapping, "", keys, sections, where, findings))


def _walk(
    mapping: Mapping[Any, Any],
    prefix: str,
    keys: Collection[str],
    sections: Collection[str],
    where: str,
    findings: list[str],
) -> Iterator[tuple[str, Any]]:
    for name, value in mapping.items():
        key = f"{prefix}{name}"
        if key in keys and key in sections and isinstance(value, dict):
            yield key, True
            yield from _walk(value, f"{key}.", keys, sections, where, findings)
        elif key in keys:
            yield key, value
        else:
            known = [each.removeprefix(prefix).partition(".")[0] for each in keys if each.startswith(prefix)]
            close = difflib.get_close_matches(str(name), known, n=1)
            advice = f"did you mean {close[0]}" if close else f"there are {', '.join(dict.fromkeys(known))}"
            findings.append(f"{where}{key}: there is no such question: {advice}")


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The opposite of `_flat`."""
    result: dict[str, Any] = {}
    for key, value in flat.items():
        *parts, last = key.split(".")
        place = result
        for part in parts:
            inner = place.get(part)
            place[part] = place = inner if isinstance(inner, dict) else {}
        place[last] = value
    return result
