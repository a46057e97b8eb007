"""Whether a request fits what an API says of itself: botocore's model of it, with every length, pattern and choice."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import botocore.session

SURROGATES, BEYOND = r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF"
"""How patterns of AWS's, which are Java's, write what is beyond 16 bits, and how Python's do."""

_KINDS: Final[dict[str, Any]] = {
    "boolean": bool,
    "double": (int, float),
    "float": (int, float),
    "integer": int,
    "list": list,
    "long": int,
    "map": dict,
    "string": str,
    "structure": dict,
}


@functools.cache
def _service(name: str) -> Any:  # noqa: ANN401 - botocore has no types
    return botocore.session.get_session().get_service_model(name)


def check(service: str, operation: str, request: Mapping[str, Any]) -> None:
    """Refuse a request that does not fit the input of an operation.

    Raises
    ------
    ValueError
        With what does not, in the way that AWS says it.
    """
    _check(request, _service(service).operation_model(operation).input_shape, "")


def _check(value: Any, shape: Any, place: str) -> None:  # noqa: ANN401 - any JSON, botocore's shapes
    kind: str = shape.type_name
    if not isinstance(value, _KINDS[kind]) or (kind != "boolean" and isinstance(value, bool)):
        _refuse(place, f"Member must be a {kind}")
    if kind == "string":
        _check_length(value, shape, place)
        _check_text(value, shape, place)
    elif kind == "list":
        _check_length(value, shape, place)
        for index, item in enumerate(value):
            _check(item, shape.member, f"{place}.{index + 1}")
    elif kind == "structure":
        for name in shape.required_members:
            if name not in value:
                _refuse(f"{place}.{name}".lstrip("."), "Member must not be null")
        for name, item in value.items():
            if name not in shape.members:
                raise ValueError(f"extraneous key [{name}] is not permitted at '{place}'")
            _check(item, shape.members[name], f"{place}.{name}".lstrip("."))


def _check_length(value: Any, shape: Any, place: str) -> None:  # noqa: ANN401 - as above
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max")
    if len(value) < least or (most is not None and len(value) > most):
        wanted = f"at least {least}" if most is None else f"between {least} and {most}"
        _refuse(place, f"Member must have length {wanted}")


def _check_text(value: str, shape: Any, place: str) -> None:  # noqa: ANN401 - as above
    if shape.enum and value not in shape.enum:
        _refuse(place, f"Member must satisfy enum: [{', '.join(shape.enum)}]")
    pattern = shape.metadata.get("pattern")
    if pattern and not re.fullmatch(pattern.replace(SURROGATES, BEYOND), value):
        _refuse(place, f"Member must satisfy pattern: {pattern}")


def _refuse(place: str, constraint: str) -> NoReturn:
    raise ValueError(f"Value at '{place}' failed to satisfy constraint: {constraint}")
