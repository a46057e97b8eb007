"""What reading from and writing to a provider's prompt cache costs, and what that saves of a day's use.

The definitions that `make usage`, the report and docs/costs.md share:

- Hit rate: tokens read from a cache, of all tokens of the prompts. LiteLLM's `prompt_tokens` have those that were read
  and written in them, whichever the provider (tests/e2e/test_costs.py holds it for each format).
- Saved: what the tokens that were read would have cost as input, less what they cost, less what writing cost above the
  price of input (for five minutes or an hour). Below zero, the cache cost more than it saved.

LiteLLM reckons the same for each request (`calculate_prompt_caching_savings` in litellm_core_utils/llm_cost_calc/
utils.py), and Datadog's records have that figure; its daily exports have not. So a day's is reckoned from its sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Models that cache only what a request marks. The others find what repeats by themselves (Mistral's if a key is sent).
# Amazon Bedrock User Guide, "Prompt caching" (explicit: Claude, Nova); Anthropic, "Prompt caching"; Microsoft, "Prompt
# caching" (automatic); Google, "Context caching" (implicit).
_MARKED = ("claude", "nova")


@dataclass(frozen=True, slots=True)
class CachePrices:
    """US dollars of one token: of input and output, read from a cache, written to one for five minutes and an hour.

    `marked` says that the model caches only what a request marks.
    """

    input: float
    output: float
    read: float
    write: float
    write_1h: float
    marked: bool = False

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> CachePrices | None:
        """Return the prices in a `model_info` of LiteLLM's /model/info; None if it has none of reading from a cache.

        As LiteLLM charges, a missing price of writing is that of input, and one of an hour that of five minutes.
        """
        price, read = info.get("input_cost_per_token"), info.get("cache_read_input_token_cost")
        if price is None or read is None:
            return None
        write = info.get("cache_creation_input_token_cost")
        write = price if write is None else write
        name = str(info.get("base_model") or info.get("key") or "").lower()
        return cls(
            input=float(price),
            output=float(info.get("output_cost_per_token") or 0.0),
            read=float(read),
            write=float(write),
            write_1h=float(info.get("cache_creation_input_token_cost_above_1hr") or write),
            marked=any(word in name for word in _MARKED),
        )

    @property
    def discount(self) -> float:
        """What reading costs less than input."""
        return self.input - self.read

    @property
    def surcharge(self) -> float:
        """What writing for five minutes costs more than input: nothing, where it costs nothing, as LiteLLM has it."""
        return self.write - self.input if self.write else 0.0

    @property
    def surcharge_1h(self) -> float:
        """What writing for an hour costs more than input."""
        return self.write_1h - self.input if self.write_1h else 0.0


def saved(prices: CachePrices, *, prompt: int, completion: int, read: int, written: int, cost: float) -> float:
    """Return what the cache saved of a day's sums, in US dollars.

    The sums do not tell for how long something was written. That follows from `cost`, what LiteLLM charged: between
    what they come to with every token written for five minutes and with every one for an hour. What is charged beyond
    these two, because the price was another one on that day, or is for long prompts, scales the saving with it.
    """
    if not read and not written:
        return 0.0
    others = (prompt - read - written) * prices.input + read * prices.read + completion * prices.output
    least, most = others + written * prices.write, others + written * prices.write_1h
    if cost < least:
        return (read * prices.discount - written * prices.surcharge) * cost / least
    if cost > most:
        return (read * prices.discount - written * prices.surcharge_1h) * (cost / most if most else 1.0)
    return read * prices.discount - written * prices.surcharge - (cost - least)
