"""A document that is being changed, in which each value is still known by its place in the file that was brought."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Final

from stacks.litellm_config.file import Place


class _Gap:
    """Where an item of a list was: so the others keep their positions."""

    def __deepcopy__(self, _: object) -> _Gap:
        return self


GAP: Final = _Gap()
MISSING: Final = object()


class Tree:
    """The document. Places are those in it now; `origin` says where the value of one was in the file."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._root = copy.deepcopy(document)
        self._moved: dict[Place, Place] = {}

    def get(self, place: Place, default: Any = None) -> Any:  # noqa: ANN401 - anything that YAML has
        """The value at a place, or the default where nothing is."""
        value: Any = self._root
        for step in place:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return default
            if value is GAP:
                return default
        return value

    def has(self, place: Place) -> bool:
        """Whether there is anything at the place."""
        return self.get(place, MISSING) is not MISSING

    def put(self, place: Place, value: Any) -> None:  # noqa: ANN401
        """Set a value; the mappings around it are made where they are missing."""
        holder: Any = self._root
        for step in place[:-1]:
            if isinstance(holder, dict) and holder.get(step) is None:
                holder[step] = {}
            holder = holder[step]
        holder[place[-1]] = value

    def append(self, place: Place, value: Any) -> None:  # noqa: ANN401
        """Add an item to a list, which is made where it is missing."""
        if not isinstance(self.get(place), list):
            self.put(place, [])
        self.get(place).append(value)

    def remove(self, place: Place) -> None:
        """Take a value out, and the list around it if that was the last of it."""
        holder = self.get(place[:-1])
        if isinstance(holder, list):
            holder[int(place[-1])] = GAP
            if all(item is GAP for item in holder) and len(place) > 2:
                self.remove(place[:-1])
        else:
            del holder[place[-1]]

    def move(self, place: Place, to: Place) -> None:
        """Put a value elsewhere; a key that only gets another name keeps its position in the mapping."""
        value, origin = self.get(place), self.origin(place)
        if place[:-1] == to[:-1]:
            holder = self.get(place[:-1])
            items = [(to[-1] if key == place[-1] else key, each) for key, each in holder.items()]
            holder.clear()
            holder.update(items)
        else:
            self.remove(place)
            self.put(to, value)
        self._moved[to] = origin

    def origin(self, place: Place) -> Place:
        """Where in the file the value of a place was, or would have been."""
        for end in range(len(place), 0, -1):
            if place[:end] in self._moved:
                return (*self._moved[place[:end]], *place[end:])
        return place

    def document(self) -> dict[str, Any]:
        """The document as it is now."""
        result: dict[str, Any] = _without_gaps(self._root)
        return result

    def place(self, written: Place) -> Place:
        """The place here of one in `document()`, whose lists have no gaps."""
        value: Any = self._root
        steps: list[str | int] = []
        for step in written:
            if isinstance(value, list) and isinstance(step, int):
                there = [position for position, item in enumerate(value) if item is not GAP]
                step = there[step] if step < len(there) else step + len(value) - len(there)
            elif isinstance(value, dict) and step not in value:  # the reader names a key that is no text by its text
                step = next((key for key in value if str(key) == step), step)
            steps.append(step)
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                value = None
        return tuple(steps)

    def scalars(self, place: Place = ()) -> Iterator[tuple[Place, Any]]:
        """Every scalar below a place, each with its own; of what is changed meanwhile, as it was before."""
        return iter([*scalars(self.get(place) if place else self._root, place)])


def scalars(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:  # noqa: ANN401
    """Every scalar below a value, and each mapping and list with nothing in it."""
    if value is GAP:
        return
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = [*value.items()]
    elif isinstance(value, list):
        items = [*enumerate(value)]
    if not items:
        yield place, value
    for step, item in items:
        yield from scalars(item, (*place, step))


def _without_gaps(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {key: _without_gaps(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_gaps(item) for item in value if item is not GAP]
    return value
