"""Secrets in files that are brought: told by where they stand and what they look like, and called by a name only.

No value of one is written, printed or logged; what is said of one is its place and the name that it gets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from stacks.litellm_config import SECRET_SUFFIXES, SECRET_VALUE
from stacks.litellm_config.file import Place
from stacks.litellm_config.rules.references import is_secret
from stacks.litellm_config.variables import REFERENCE

HIDDEN: Final = "(not shown)"

_NUMBERS: Final = frozenset(
    {"api_key", "auth_value", "azure_ad_token", "azure_password", "client_secret", "master_key", "password"}
    | {"secret", "token"}
)
"""Where a number is a secret too; elsewhere a name that ends so may be of a count or a price."""

_ENDINGS: Final = (
    (re.compile(r"(pass(word|phrase)?|pwd)$"), "_PASSWORD"),
    (re.compile(r"credentials?$"), "_CREDENTIALS"),
    (re.compile(r"webhook(_url)?$"), "_WEBHOOK_URL"),
    (re.compile(r"(token|auth_value|authorization)$"), "_TOKEN"),
    (re.compile(r"licen[sc]e$"), "_LICENSE"),
    (re.compile(r"key(_id)?$"), "_KEY"),
)
"""The ending of a secret's name, by how its field ends; any other is `_SECRET`."""

_LONG: Final = 8
"""A value of fewer characters, or of small letters alone, may be a word like any other: what has it among others is not
known to quote it."""

_WORD: Final = 16
"""A key among other words has so many characters at least; sk-team is a word."""


def secret_in(key: str, value: object) -> bool:
    """Whether a value under a key is a secret that is written out; a reference to a variable is none."""
    if isinstance(value, bool | float) or value is None:
        return False
    if isinstance(value, int):
        return key.lower() in _NUMBERS
    text = str(value).strip()
    if not text or REFERENCE in text or re.fullmatch(r"\$\{?\w+\}?", text):
        return False
    return is_secret(key, text) or key.lower() in _NUMBERS or quotes_one(text)


def quotes_one(text: str) -> bool:
    """Whether a text of several words has a secret among them, as the options of a command can."""
    words = [word for word in re.split(r"[\s,;='\"]+", text) if len(word) >= _WORD]
    return any(SECRET_VALUE.search(word) for word in words)


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name has a secret in it, here or elsewhere."""
    return name.endswith(SECRET_SUFFIXES) or bool(
        re.search(r"(KEY|TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIALS?|LICENSE|WEBHOOK|_DSN|DATABASE_URL)(_|\d|$)", name)
    )


def ending(key: str, value: str = "") -> str:
    """How a secret's name ends that is of a field; the address of a web hook tells itself."""
    if value.startswith("https://hooks."):
        return "_WEBHOOK_URL"
    return next((found for pattern, found in _ENDINGS if pattern.search(key.lower().replace("-", "_"))), "_SECRET")


def named(*words: object) -> str:
    """A variable's name of some words."""
    text = re.sub(r"[^A-Z0-9]+", "_", "_".join(str(word) for word in words if word).upper()).strip("_")
    return text if text[:1].isalpha() else f"OF_{text}"


def variable_of(place: Place, key: str, value: str, *, provider: str = "", entry: str = "") -> tuple[str, str]:
    """Names for the secret of a field: the usual one, and one for a second value of the same kind.

    `provider` and `entry` are of the entry of model_list that it is in, if of one.
    """
    suffix = ending(key, value)
    stem = named(key).removesuffix(suffix.strip("_")).strip("_")
    if suffix == "_TOKEN" and stem in ("AUTH_VALUE", "AUTHORIZATION"):
        stem = ""
    if provider:
        usual = stem if stem.startswith(named(provider).partition("_")[0]) else named(provider, stem)
        return f"{usual}{suffix}", f"{named(entry, stem)}{suffix}"
    words = [step for step in place[:-1] if isinstance(step, str) and step not in _PLAIN_STEPS]
    usual = f"{named(*words[-1:], stem)}{suffix}"
    return usual, f"{named(*words, *(step + 1 for step in place if isinstance(step, int)), stem)}{suffix}"


_PLAIN_STEPS: Final = frozenset({"litellm_params", "litellm_settings", "general_settings", "headers", "extra_headers"})


@dataclass
class Hidden:
    """The values of secrets that have been met, which nothing that is written may have in it."""

    values: set[str] = field(default_factory=set)

    def add(self, value: Any) -> None:  # noqa: ANN401 - anything that YAML has
        """Remember one."""
        for text in _texts(value):
            if text.strip() and REFERENCE not in text:
                self.values.add(text.strip())

    def has(self, text: object) -> bool:
        """Whether a text is one of them, or quotes one."""
        found = str(text)
        return found in self.values or any(value in found for value in self.values if _stands_out(value))

    def clean(self, text: str) -> str:
        """A text without them."""
        for value in sorted(self.values, key=len, reverse=True):
            text = text.replace(repr(value), HIDDEN)
            if _stands_out(value):
                text = text.replace(value, HIDDEN)
        return text


def _stands_out(value: str) -> bool:
    return len(value) >= _LONG and not re.fullmatch(r"[a-z_-]+", value)


def _texts(value: Any) -> Iterable[str]:  # noqa: ANN401
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [] if value is None or isinstance(value, bool) else [str(value)]
