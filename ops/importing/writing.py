"""The new config.yaml as text: in the order of the file that was brought, with a comment beside what was added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from ops.importing.bringing import SECTIONS
from ops.importing.needed import NEEDED, reason_of
from ops.init.comments import WIDTH, comment
from ops.init.config_file import head

_HEAD: Final = "Brought over by `make import`; import.md beside this file says what became of each part of it."


class _Dumper(yaml.SafeDumper):
    """Writes lists below their key, and everything out where it is: there are no anchors any more."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """As SafeDumper does, but indented."""
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401 - as yaml has it
        """None are made."""
        return True


def written(document: Mapping[str, Any], added: Mapping[str, set[str]]) -> str:
    """The text of the file; `added` are the settings, by section, that it did not have before."""
    lines = [*comment(_HEAD), "#", *head()]
    for key, value in document.items():
        if key in SECTIONS and value == {}:
            continue  # all that it had is elsewhere or gone
        lines.append("")
        if key in SECTIONS and isinstance(value, dict) and value:
            lines += [f"{key}:", *_section(key, value, added.get(key, set()))]
        elif key == "model_list" and isinstance(value, list):
            lines += [f"{key}:", *(line for each in value for line in _indented(_text([each])))]
        else:
            lines += _text({key: value}).splitlines()
    return "\n".join(lines) + "\n"


def _section(name: str, section: Mapping[str, Any], added: set[str]) -> Iterator[str]:
    for key, value in section.items():
        if key in added and key in NEEDED.get(name, ()):
            yield from comment(f"{reason_of(name, key)}.", "  ")
        yield from _indented(_text({key: value}))


def _indented(text: str) -> list[str]:
    return [f"  {line}" if line else "" for line in text.splitlines()]


def _text(value: Any) -> str:  # noqa: ANN401 - anything that YAML has
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH)
