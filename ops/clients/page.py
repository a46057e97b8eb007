"""The page on the tools, of an environment: `docs/clients.md` is the example's, `make clients` prints one's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from ops.clients.models import Models, models
from ops.clients.texts import (
    ALIASES,
    ALIASES_HEAD,
    ALIASES_TITLE,
    HEAD,
    KEY,
    KEY_TITLE,
    LACKS,
    MAKERS,
    NOTES,
    Language,
)
from ops.clients.tools import KEY as KEY_VARIABLE
from ops.clients.tools import TOOLS, Tool
from stacks import CHECKOUT
from stacks.company import Company
from stacks.settings import Environment

PAGES: Final[Mapping[Language, Path]] = {
    "en": CHECKOUT / "docs" / "clients.md",
    "ja": CHECKOUT / "docs" / "clients.ja.md",
}
ENVIRONMENT: Final = "prod"
"""Of the example company, whose address and models the page has."""


def documents(example: Company) -> dict[Path, str]:
    """The page in both languages."""
    environment = example.environments[ENVIRONMENT]
    return {path: HEAD[language] + body(environment, example, language) for language, path in PAGES.items()}


def body(environment: Environment, own: Company, language: Language, url: str = "") -> str:
    """What to set for an environment, in Markdown: a section a tool. `url` is where it answers, if not at its name."""
    found = models(environment.litellm_config(own.config))
    url = url or f"https://{environment.domain}"
    sections = [_section(KEY_TITLE[language], KEY[language], "```sh\nexport " + KEY_VARIABLE + "=sk-…\n```")]
    sections += [_section(tool.title, *_tool(tool, url, found, language)) for tool in TOOLS]
    if known := aliases(own):
        rows = [
            ALIASES_HEAD[language],
            "| --- | --- |",
            *(f"| `{name}` | `{model}` |" for name, model in known.items()),
        ]
        sections.append(_section(ALIASES_TITLE[language], ALIASES[language], "\n".join(rows)))
    return "\n\n".join(sections) + "\n"


def aliases(own: Company) -> dict[str, str]:
    """The names that stand for a model of config.yaml, each with that model's (`router_settings.model_group_alias`)."""
    settings: Mapping[str, Any] = yaml.safe_load(own.config.read_text("utf-8")).get("router_settings") or {}
    found: Mapping[str, Any] = settings.get("model_group_alias") or {}
    return {name: target["model"] if isinstance(target, dict) else target for name, target in found.items()}


def _section(title: str, *parts: str) -> str:
    return "\n\n".join((f"## {title}", *parts))


def _tool(tool: Tool, url: str, found: Models, language: Language) -> Iterator[str]:
    if not tool.works(found):
        yield LACKS[language].format(maker=MAKERS[tool.maker or ""])
        return
    yield NOTES[tool.name][language]
    for block in tool.blocks(url, found):
        if block.place:
            yield f"`{block.place}`:"
        yield f"```{block.language}\n{block.content}```"
