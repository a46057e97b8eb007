"""Lines of a bill, and the rule by which a line's words are those of a deployment of LiteLLM.

No cloud puts the id of a model on its bill. `anthropic.claude-sonnet-4-5-20250929-v1:0` is billed by AWS as "Claude
Sonnet 4.5 (Amazon Bedrock Edition)", `amazon.nova-2-lite-v1:0` as "USW2-Nova2.0Lite-input-tokens",
`azure/gpt-5.6-sol` by Azure as "5.6 sol ShortCo Inp Std Gl 1M Tokens", `vertex_ai/gemini-2.5-flash` by Google as
"Gemini 2.5 Flash GA Text Input - Predictions"; OpenAI and Anthropic bill the release behind the id. The parts are the
same, in another order and with other signs between them. So a line names a model if each part of the model's id is in
the line, and nothing is left of the line but the vendor's name: "GPT 5" is not "GPT 5 mini", nor "Llama 3" "Llama 3.1".
A new model needs no table; a name that does not fit leaves a line over, which is reported.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

Kind = Literal["input", "cached", "cache_write", "output", "other"]

KINDS: tuple[Kind, ...] = get_args(Kind)
# The cross-region inference profiles of Bedrock (us., eu., apac., global., …) before vendor and model.
# https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
_PROFILE = re.compile(r"^(?P<where>global|us-gov|apac|[a-z]{2})\.(?=[a-z0-9]+\.[a-z])")
_VENDOR = re.compile(r"^([a-z][a-z0-9]+)\.(?=[a-z])|^(deepseek|twelvelabs)\.")
# What an id has of its release: a date, an Azure date, a revision of the id.
_RELEASE = re.compile(r"[-@]20\d{6}(?=\b|-)|-20\d\d-\d\d-\d\d$|-\d\d-20\d\d$|:\d+$")
_REVISION = re.compile(r"[-_ ]?(?<![a-z])v[01](?![\d.])|-1$(?<=\db-1)")
_PROFILE_ARN = re.compile(r"^arn:aws[a-z-]*:bedrock:(?P<region>[a-z0-9-]*):\d*:application-inference-profile/")
# Words that one side has and the other leaves out; beside them the vendor's own name.
_FILLER = ("anthropic", "amazon", "meta", "openai", "google", "microsoft", "instruct", "preview", "model", "gpt", "g1")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill: one model (as the bill calls it), region and kind of token.

    `cost` is in US dollars. `quantity` is in the bill's own unit: single tokens, thousands or millions of them, which
    clouds mix. `region` is an AWS region, the name of an Azure resource, or Google's location. `everywhere` says that
    the line is for a global inference profile.

    Raises
    ------
    ValueError
        A figure is none: as text a cloud can write anything, and no difference to NaN is above a tolerance.
    """

    text: str  # as it is on the bill
    model: str
    region: str
    kind: Kind
    cost: float
    quantity: float
    everywhere: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no figure."""
        if not (math.isfinite(self.cost) and math.isfinite(self.quantity)):
            raise ValueError("a line of the bill has no finite figure")


@dataclass(frozen=True, slots=True)
class Statement:
    """What a cloud has on the bill of a month, before discounts and credits.

    `discount` is what they take off, in US dollars. `preliminary` says that the cloud marks the figures as such.
    `placed` says that the lines tell where a call was made; where they do not, a line's region is whose it is.
    """

    lines: Sequence[Line]
    discount: float = 0.0
    preliminary: bool = False
    placed: bool = True

    def __post_init__(self) -> None:
        """Refuse what is no figure."""
        if not math.isfinite(self.discount):
            raise ValueError("the discount of the bill is no finite figure")


@dataclass(frozen=True, slots=True)
class Profiles:
    """What application inference profiles cost, by the value of their tag: US dollars by region, and their models."""

    costs: dict[tuple[str, str], float] = field(default_factory=dict)
    models: dict[str, set[str]] = field(default_factory=dict)  # as the bill calls them


def model_id(deployment: str) -> str:
    """Return the provider's model id in LiteLLM's name of a deployment; "" for an application inference profile.

    That of `bedrock/us.anthropic.claude-opus-5-5` is us.anthropic.claude-opus-5-5, of `azure/gpt-6-luna` gpt-6-luna.
    """
    name = deployment.partition("/")[2] or deployment
    return "" if _PROFILE_ARN.match(name) else name.rpartition("/")[2]


def profile_arn(deployment: str) -> str:
    """Return the ARN of the application inference profile that a deployment is; "" if it is none."""
    found = deployment.find("arn:")
    return deployment[found:] if found >= 0 and _PROFILE_ARN.match(deployment[found:]) else ""


def is_everywhere(deployment: str) -> bool:
    """Return whether a deployment is a global inference profile."""
    found = _PROFILE.match(model_id(deployment))
    return found is not None and found["where"] == "global"


def fits(text: str, model: str) -> bool:
    """Return whether a line's words are those of a model: its id, or the name that people ask for."""
    name = _PROFILE.sub("", model.lower())
    vendor = _VENDOR.match(name)
    name = name[vendor.end() :] if vendor else name
    optional = {*_FILLER, *([vendor[0].rstrip(".")] if vendor else ())}
    rest = _plain(text)
    parts = [part for part in re.split(r"[^a-z0-9.]+", _plain(without_release(name))) if part and part not in optional]
    for part in sorted(parts, key=len, reverse=True):
        rest, found = _bounded(part).subn(" ", rest, count=1)
        if not found:
            return False
    for word in sorted(optional, key=len, reverse=True):
        rest = rest.replace(word, " ")
    return bool(parts) and not re.search(r"[a-z0-9]", rest)


def without_release(name: str) -> str:
    """Return a model's id without what it has of its release: that of gpt-5.5-2026-04-23 is gpt-5.5."""
    before = ""
    while before != name:
        before, name = name, _RELEASE.sub("", name)
    return name


def _plain(text: str) -> str:
    """Return a name in lower case, its numbers written in one way: 4-5 as 4.5, 2.0 as 2, v3 as 3."""
    text = re.sub(r"embeddings?", "embed", text.lower()).replace("+", " plus")
    text = re.sub(r"v(?=\d)", "", _REVISION.sub("", text))
    text = re.sub(r"(?<=\d)[-_](?=\d{1,2}(?![\da-z]))", ".", text)
    return re.sub(r"(?<=\d)\.0(?![\d.])", "", text)


def _bounded(part: str) -> re.Pattern[str]:
    """A part of a name, with no digit of another number beside its own (5 is not in 5.1), a letter only by itself."""
    if len(part) == 1 and part.isalpha():
        return re.compile(rf"(?<![a-z]){part}(?![a-z])")
    before = r"(?<![\d.])" if part[0].isdigit() else ""
    after = r"(?!\.?\d)" if part[-1].isdigit() else ""
    return re.compile(before + re.escape(part) + after)
