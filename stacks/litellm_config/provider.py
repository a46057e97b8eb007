"""What is known of a provider of models: a row of stacks/litellm_config/providers.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from stacks.litellm_config.variables import resolve

if TYPE_CHECKING:
    from stacks.litellm_config.file import Place
    from stacks.litellm_config.model import Model
    from stacks.litellm_config.rules.reading import Reading

HTTP: Final = 80
HTTPS: Final = 443
"""The port that the task's security group lets out to every host."""


class Address(NamedTuple):
    """Where something is called."""

    host: str
    port: int = HTTPS


class Way(NamedTuple):
    """Parameters of an entry that together are its credentials."""

    parameters: tuple[str, ...]
    what: str = ""  # whose they are, as a sentence says it: an application of Entra ID


class Bill(NamedTuple):
    """The provider's bill, which is held against what LiteLLM counted, or why it is not."""

    title: str  # how messages name it
    alarm: str = ""  # how the alarm's logical id begins, of one that is compared
    setting: str = ""  # of `Bill` in the settings, without which it is not read; "": it always is
    why_not: str = ""  # why it is not compared: a sentence without its end
    models: str = ""  # what the names of the models on it have in them; "": all are
    others: str = ""  # the row on whose bill its other models are


def _at_api_base(model: Model, variables: Mapping[str, str]) -> Iterator[Address]:
    yield from address(model.parameter("api_base"), variables)


def _nowhere(model: Model) -> Iterator[Address]:
    del model
    yield from ()


def _never(model: Model) -> bool:
    del model
    return False


def _by_its_names(model: Model) -> Iterator[str]:
    yield from (model.model, f"{model.provider}/{model.id}", model.id)


def _nothing_more(reading: Reading, place: Place, model: Model) -> None:
    del reading, place, model


@dataclass(frozen=True, kw_only=True)
class Provider:
    """One row. What it does not say is what LiteLLM's providers have in common: a key, and an address by `api_base`.

    A parameter is one of an entry's `litellm_params`. `parameters` that have several names have the first one first.
    """

    name: str
    """LiteLLM's prefix for it in `litellm_params.model`, and what LiteLLM reports as the provider of a call."""
    more_names: tuple[str, ...] = ()
    """Other prefixes of the same provider, as ollama is of ollama_chat."""
    title: str
    """How people write it."""

    needs: tuple[tuple[str, ...], ...] = ()
    """Parameters that every entry must have, each with the other names that LiteLLM takes it by."""
    ways: tuple[Way, ...] = (Way(("api_key",)),)
    """What an entry may sign in with; none if it needs nothing. The first is what a message asks for."""
    secrets: tuple[str, ...] = ("api_key",)
    """Those of the parameters whose value a person fetches from the provider: what a key is in the local run."""
    variables: Mapping[str, str]
    """The variables that the parameters are usually taken from, as messages and `make secrets` name them."""
    implied: tuple[str, ...] = ()
    """Those parameters that LiteLLM takes from their variables by itself where an entry leaves them out: the task then
    gets the variable, and no entry is refused for it."""
    settings: Mapping[str, str]
    """The plain variables that come from an environment's `providers`, each with the setting that gives it."""
    addresses: tuple[str, ...] = ("api_base",)
    """Parameters that are addresses, which are refused if the task cannot reach them."""
    texts: tuple[str, ...] = ()
    """Parameters that must be text, beside those that are needed or sign in."""
    check: Callable[[Reading, Place, Model], None] = _nothing_more
    """What else is asked of an entry."""

    host: str = ""
    """The one host that it has for all, which its key is for; "" if it has none."""
    hosts: Callable[[Model, Mapping[str, str]], Iterator[Address]] = _at_api_base
    """Where an entry's calls go, by the values of variables; not one that a secret names."""
    sign_in: Callable[[Model], Iterator[Address]] = _nowhere
    """Where its credentials are made a token."""
    by_role: Callable[[Model], bool] = _never
    """Whether an entry is called with the credentials of the task's role, in the environment's own account."""
    region: tuple[str, ...] = ()
    """The parameter that says where an entry is called; none if its address does."""

    priced_as: tuple[str, ...]
    """`litellm_provider` of its models in LiteLLM's list of prices, without what follows a hyphen."""
    listed: Callable[[Model], Iterator[str]] = _by_its_names
    """The names by which LiteLLM's list may have an entry, beside its base_model: the first that is there counts."""
    folders: tuple[str, ...] = ()
    """Folders below LiteLLM's llms/ with parameters of its own; without one, that of its name."""
    parameters: tuple[str, ...] = ()
    """Parameters that LiteLLM hands to it without naming them in a class."""

    bill: Bill | None
    """None: it is a server of one's own, whose tokens nobody bills."""
    zone: str = "UTC"
    """In whose zone its days begin, of prices with a day."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every prefix of its models."""
        return self.name, *self.more_names

    def wanted(self) -> Iterator[str]:
        """Yield the parameters that are asked for as text."""
        for names in self.needs:
            yield from names
        for way in self.ways:
            yield from way.parameters
        yield from self.texts


def address(value: str, variables: Mapping[str, str]) -> Iterator[Address]:
    """Yield where an address leads, which may refer to a variable; nothing if it is not known here."""
    parts = urlsplit(resolve(value, variables))
    if parts.hostname:
        yield Address(parts.hostname, parts.port or (HTTP if parts.scheme == "http" else HTTPS))
