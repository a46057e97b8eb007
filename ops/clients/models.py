"""Which of the gateway's models a tool is given: by who made them, the strongest and the smallest of each maker."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from stacks.litellm_config import LiteLlmConfig, Model

Maker = Literal["claude", "gpt", "gemini", "other"]
MAKERS: Final = ("claude", "gpt", "gemini")
"""The families that a tool may be made for, by the word that the ids of their models have."""
OUTPUT_PRICE: Final = "output_cost_per_token"


@dataclass(frozen=True)
class Chat:
    """A model name of config.yaml behind which is one that writes text."""

    name: str  # model_name
    maker: Maker
    price: float  # US dollars for a token that it writes; 0 if that is not known


@dataclass(frozen=True)
class Models:
    """The models of a gateway that write text, in the order of config.yaml."""

    chat: tuple[Chat, ...]

    def of(self, maker: Maker) -> tuple[Chat, ...]:
        """Those of one maker, the dearest first."""
        return tuple(sorted((one for one in self.chat if one.maker == maker), key=lambda one: -one.price))

    def main(self, *makers: Maker) -> str:
        """The name for a day's work, of the first of these makers that there is one of, or else of any.

        It is the middle one: of three the one between, of two the stronger. "" without any model that writes text.
        """
        for maker in (*makers, *MAKERS, "other"):
            if found := self.of(maker):
                return found[(len(found) - 1) // 2].name
        return ""

    def small(self, *makers: Maker) -> str:
        """The name for small things (titles, summaries): the cheapest, of the same makers as `main`."""
        for maker in (*makers, *MAKERS, "other"):
            if found := self.of(maker):
                return found[-1].name
        return ""

    def claude(self, kind: str) -> str:
        """The Claude model whose name has this word (`opus`, `sonnet`, `haiku`), or the nearest that there is."""
        found = self.of("claude")
        named = next((one.name for one in found if kind in one.name), "")
        return named or (self.small("claude") if kind == "haiku" else self.main("claude"))


def models(config: LiteLlmConfig) -> Models:
    """The models of a config.yaml that write text: those that have a price for it, or say that they chat."""
    found = {model.name: Chat(model.name, _maker(model), _price(model)) for model in _chatting(config.models)}
    return Models(tuple(found.values()))


def _chatting(listed: Iterable[Model]) -> Iterable[Model]:
    """An embedding model writes nothing, and its tokens have no price; one without any price may be anything."""
    return (model for model in listed if (model.info.get("mode", "chat") in ("chat", "responses")) and _writes(model))


def _writes(model: Model) -> bool:
    return bool(_price(model)) or not model.is_priced()


def _price(model: Model) -> float:
    return float({**model.listed_prices(), **model.own_prices()}.get(OUTPUT_PRICE) or 0)


def _maker(model: Model) -> Maker:
    """By the word in the provider's own id, or in LiteLLM's name for it; Azure's other deployments are OpenAI's."""
    words = re.split(r"[^a-z]+", f"{model.listed_as() or ''} {model.base} {model.name}".lower())
    for maker in MAKERS:
        if maker in words:
            return maker
    return "other"
