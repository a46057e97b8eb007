"""The file as text: parsed strictly, and where in it each value stands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml

from stacks.litellm_config.catalog import ConfigError

Place = tuple[str | int, ...]
"""Where a value is: the keys and, of a list, the positions from 0 on that lead to it."""

MOST_VALUES: Final = 100_000
"""A file of a thousand models has some ten thousand; anchors within anchors can make a small one endless."""


@dataclass(frozen=True)
class ConfigFile:
    """A file that is YAML with a mapping at its top."""

    path: Path
    document: dict[str, Any]
    node: yaml.Node

    def line(self, place: Place) -> int:
        """The line of a key or of an entry of a list; if it is not there, that of the nearest place around it."""
        node, line = self.node, self.node.start_mark.line
        for step in place:
            found = next(reversed([pair for pair in _children(node) if pair[0] == step]), None)
            if found is None:
                break
            _, line, node = found
        return line + 1

    def label(self, place: Place) -> str:
        """How a sentence names a place: model_list entry 2 (gpt).litellm_params.api_base."""
        text, value = "", self.document
        for step in place:
            value = _child(value, step)
            if isinstance(step, int):
                name = value.get("model_name") if isinstance(value, dict) else None
                text += f" entry {step + 1}" + (f" ({name})" if isinstance(name, str) and name else "")
            else:
                text += f".{step}" if text else step
        return text or "top level"


def read(path: Path) -> ConfigFile:
    """Parse the file.

    Raises
    ------
    ConfigError
        It is not there, is no YAML, or has no mapping at its top.
    """
    try:
        node = _composed(path.read_text("utf-8"))
        too_large = node is not None and _size(node, {}) > MOST_VALUES
        document = None if node is None or too_large else StrictLoader("").construct_document(node)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; it is LiteLLM's list of models.") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = f"not valid YAML: {error.problem}"
        if "another document" in problem:
            problem = "it has several documents (---): keep the one of LiteLLM"
        raise ConfigError(sentence(path, line, "", problem)) from None
    except (yaml.reader.ReaderError, UnicodeDecodeError) as error:
        problem = f"a character that YAML has no place for ({error.reason}): write it as UTF-8"
        raise ConfigError(sentence(path, None, "top level", problem)) from None
    except (ValueError, OverflowError) as error:  # of a date or a number that is none
        raise ConfigError(sentence(path, None, "top level", f"not valid YAML: {error}")) from None
    except RecursionError:
        raise ConfigError(sentence(path, None, "top level", "it is nested too deeply to be read")) from None
    if too_large:
        problem = f"its anchors unfold into more than {MOST_VALUES:,} values"
        raise ConfigError(sentence(path, None, "top level", problem))
    if node is None or not isinstance(document, dict):
        raise ConfigError(sentence(path, 1, "top level", "it must be a mapping of names to values"))
    return ConfigFile(path, document, node)


@lru_cache(maxsize=16)  # a company's environments read the same file, and `make init` reads it after each answer
def _composed(text: str) -> yaml.Node | None:
    loader = StrictLoader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def sentence(path: Path, line: int | None, label: str, problem: str) -> str:
    """One line for who wrote the file: the file, the line, the place, and what is wrong with it."""
    where = f"line {line}" if line else ""
    text = ": ".join(filter(None, (str(path), where, label, f"{problem}.")))
    # What it quotes may have anything in it, and a sentence is a line.
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


class StrictLoader(yaml.SafeLoader):
    """Refuses what YAML would take without a word: a key that is written twice, an anchor that contains itself."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._open: list[str] = []

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401 - as yaml has it
        """As SafeLoader does."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        anchor, is_alias = getattr(event, "anchor", None), isinstance(event, yaml.AliasEvent)
        if is_alias and anchor in self._open:
            raise yaml.composer.ComposerError(None, None, f"*{anchor} contains itself", event.start_mark)
        if is_alias or anchor is None:
            return super().compose_node(parent, index)
        self._open.append(anchor)
        node = super().compose_node(parent, index)
        self._open.pop()
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # noqa: ANN401
        """As SafeLoader does. Here and not where it is constructed: by then another one may be merged into it."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key that is no text", key.start_mark)
            if key.value in seen:
                problem = f"the key {key.value!r} is there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return node


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node unfolds into."""
    if id(node) not in known:
        known[id(node)] = 1 + sum(_size(child, known) for *_, child in _children(node))
    return known[id(node)]


def _children(node: yaml.Node) -> list[tuple[str | int, int, yaml.Node]]:
    """What is directly below a node, each with its line."""
    if isinstance(node, yaml.MappingNode):
        return [(key.value, key.start_mark.line, value) for key, value in node.value]
    if isinstance(node, yaml.SequenceNode):
        return [(index, item.start_mark.line, item) for index, item in enumerate(node.value)]
    return []


def _child(value: Any, step: str | int) -> Any:  # noqa: ANN401 - anything that YAML has
    try:
        return value[step]
    except (KeyError, IndexError, TypeError):
        return None
