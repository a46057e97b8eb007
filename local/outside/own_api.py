"""What the simulated services have in common that are one provider's own API: a host, and the one key."""

from __future__ import annotations

from typing import ClassVar

from local.outside.completion import Model


class OwnApi:
    """Answers for its hosts, with the one API key."""

    hosts: ClassVar[tuple[str, ...]]

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key
        self._model = Model()

    def serves(self, host: str) -> bool:
        """Return whether the host is the API's, or that of a region of it."""
        return host in self.hosts


def names(text: str) -> frozenset[str]:
    """Return the words of a text, as the fields that a request may have."""
    return frozenset(text.split())
