"""Slack's limits of blocks and modals, checked as Slack does: docs.slack.dev/reference/block-kit."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from local.outside.records import Json

NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
"""A number as the element number_input has it: a text such as 0.25, 5.5 or -10."""
_BLOCKS = {"actions", "context", "divider", "header", "image", "input", "markdown", "rich_text", "section", "video"}
_ELEMENTS = {  # of input, actions and section blocks
    "button",
    "channels_select",
    "checkboxes",
    "conversations_select",
    "datepicker",
    "email_text_input",
    "external_select",
    "image",
    "multi_static_select",
    "multi_users_select",
    "number_input",
    "overflow",
    "plain_text_input",
    "radio_buttons",
    "static_select",
    "url_text_input",
    "users_select",
}
_MOST_CHARACTERS = {  # by the type of what has it ("" for any) and its name; of a text object, the text counts
    ("section", "text"): 3000,
    ("header", "text"): 150,
    ("button", "text"): 75,
    ("button", "value"): 2000,
    ("button", "url"): 3000,
    ("input", "label"): 2000,
    ("input", "hint"): 2000,
    ("modal", "title"): 24,
    ("modal", "submit"): 24,
    ("modal", "close"): 24,
    ("modal", "private_metadata"): 3000,
    ("modal", "callback_id"): 255,
    ("option", "text"): 75,
    ("option", "value"): 150,
    ("", "placeholder"): 150,
    ("", "action_id"): 255,
    ("", "block_id"): 255,
}
_MOST_ITEMS = {
    ("modal", "blocks"): 100,
    ("message", "blocks"): 50,
    ("actions", "elements"): 25,
    ("context", "elements"): 10,
    ("section", "fields"): 10,
    ("static_select", "options"): 100,
}
_REQUIRED = {
    "section": (),
    "header": ("text",),
    "button": ("text", "action_id"),
    "input": ("label", "element"),
    "actions": ("elements",),
    "context": ("elements",),
    "modal": ("title", "blocks"),
    "option": ("text", "value"),
    "number_input": ("is_decimal_allowed",),
}


def problems(surface: str, content: Json) -> list[str]:
    """Return what Slack would not take, each with the place as a JSON pointer; `surface` is "message" or "modal"."""
    found = [f"{what} [json-pointer:{where}]" for where, what in _check(surface, content, "")]
    blocks = content.get("blocks", [])
    if surface == "modal" and any(block.get("type") == "input" for block in blocks) and "submit" not in content:
        found.append("submit is required when an input block is within blocks array [json-pointer:/submit]")
    ids = Counter(block["block_id"] for block in blocks if "block_id" in block)
    return found + [f'duplicate block_id "{name}" [json-pointer:/blocks]' for name, count in ids.items() if count > 1]


def text_length(blocks: object) -> int:
    """Return how many characters of text there are in blocks, at any depth."""
    if isinstance(blocks, list):
        return sum(map(text_length, blocks))
    if not isinstance(blocks, dict):
        return 0
    own = blocks.get("text")
    rest = sum(text_length(value) for name, value in blocks.items() if name != "text" or not isinstance(own, str))
    return rest + (len(own) if isinstance(own, str) else 0)


def _check(kind: str, value: Json, place: str) -> Iterator[tuple[str, str]]:
    for name in _REQUIRED.get(kind, ()):
        if name not in value:
            yield place or "/", f"missing required field: {name}"
    for name, item in value.items():
        where = f"{place}/{name}"
        text = item.get("text") if isinstance(item, dict) else item
        most = _MOST_CHARACTERS.get((kind, name), _MOST_CHARACTERS.get(("", name)))
        if most is not None and isinstance(text, str) and len(text) > most:
            yield where, f"must be less than {most + 1} characters"
        if most is not None and text == "" and isinstance(item, dict):
            yield where, "must be more than 0 characters"
        if isinstance(item, list):
            yield from _check_list(kind, name, item, where)
        elif name in ("element", "accessory") and isinstance(item, dict):
            yield from _check_typed(item, _ELEMENTS, where)


def _check_list(kind: str, name: str, items: list[Json], where: str) -> Iterator[tuple[str, str]]:
    most = _MOST_ITEMS.get((kind, name))
    if most is not None and len(items) > most:
        yield where, f"no more than {most} items allowed"
    if name in ("options", "elements", "fields") and not items:
        yield where, "no less than 1 items allowed"
    for index, item in enumerate(items):
        if name == "blocks":
            yield from _check_typed(item, _BLOCKS, f"{where}/{index}")
        elif name == "elements" and kind == "actions":
            yield from _check_typed(item, _ELEMENTS, f"{where}/{index}")
        elif name == "options":
            yield from _check("option", item, f"{where}/{index}")


def _check_typed(item: Json, known: set[str], where: str) -> Iterator[tuple[str, str]]:
    kind = item.get("type", "")
    if kind not in known:
        yield where, f"unsupported type: {kind}"
    else:
        yield from _check(kind, item, where)
        if kind == "number_input":
            yield from _check_number(item, where)


def _check_number(item: Json, where: str) -> Iterator[tuple[str, str]]:
    """Texts that are numbers, in order: docs.slack.dev/reference/block-kit/block-elements/number-input-element."""
    given = {name: item[name] for name in ("min_value", "initial_value", "max_value") if name in item}
    wrong = {name for name, text in given.items() if not (isinstance(text, str) and NUMBER.fullmatch(text))}
    yield from ((f"{where}/{name}", "must be a string that is a number") for name in sorted(wrong))
    if wrong:
        return
    if not item.get("is_decimal_allowed"):
        yield from ((f"{where}/{name}", "decimals are not allowed") for name, text in given.items() if "." in text)
    numbers = [float(text) for text in given.values()]
    if numbers != sorted(numbers):
        yield where, "min_value cannot be greater than max_value, nor initial_value be outside of them"
