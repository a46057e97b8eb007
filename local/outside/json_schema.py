"""Values that fit a JSON Schema, or Gemini's subset of OpenAPI's, and what is wrong with a schema that is to be kept.

What cannot be made a value of is refused, not guessed. Sources: json-schema.org, draft 2020-12; OpenAI's guide
"Structured model outputs", supported schemas; Anthropic's "Structured outputs", JSON Schema limitations; Vertex AI's
REST reference, `Schema`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from local.outside.records import Json

_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T09:00:00Z",
    "time": "09:00:00Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "7d444840-9dc0-41d1-b245-5ffdce74fad2",
}
_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_UNKNOWN = frozenset({"contains", "dependentRequired", "dependentSchemas", "if", "not", "prefixItems"})


class UnfitSchemaError(ValueError):
    """A schema that this module makes no value of; the message says why."""


def value(schema: Json) -> Any:  # noqa: ANN401  # any JSON value
    """Return a value that fits a schema, the same each time: its first choices, with every property that it names.

    Raises
    ------
    UnfitSchemaError
        No value fits, or it asks for what is not known here, such as a pattern.
    """
    return _value(schema, schema, frozenset({"#"}))


def _value(schema: Json | bool, root: Json, inside: frozenset[str]) -> Any:  # noqa: ANN401  # any JSON value
    """Return a value of a part of `root`; `inside` are the references that led to it."""
    if not isinstance(schema, dict):
        if schema is False:
            raise UnfitSchemaError("No value fits the schema false.")
        return "example"
    return _of_schema(schema, root, inside)


def _of_schema(schema: Json, root: Json, inside: frozenset[str]) -> Any:  # noqa: ANN401  # any JSON value
    if unknown := _UNKNOWN & schema.keys():
        raise UnfitSchemaError(f"What fits {min(unknown)!r} is not known here.")
    if reference := str(schema.get("$ref", "")):
        if reference in inside:
            raise UnfitSchemaError(f"{reference} needs itself.")
        return _value(_referred(reference, root), root, inside | {reference})
    for key in ("const", "enum"):
        if key in schema:
            return schema["const"] if key == "const" else schema["enum"][0]
    if "allOf" in schema:
        return _value(_merged(schema, root), root, inside)
    for key in ("anyOf", "oneOf", "any_of"):
        if schema.get(key):
            return _first_of({k: v for k, v in schema.items() if k != key}, schema[key], root, inside)
    return _of_kind(schema, root, inside)


def _of_kind(schema: Json, root: Json, inside: frozenset[str]) -> Any:  # noqa: ANN401  # any JSON value
    kind = _kind(schema)
    if kind in ("object", "array"):
        return (_object if kind == "object" else _array)(schema, root, inside)
    if kind in ("integer", "number"):
        return _number(schema)
    return _string(schema) if kind == "string" else {"boolean": True, "null": None}[kind]


def _kind(schema: Json) -> str:
    """Return the first type that a schema allows; Google writes them in capitals."""
    default = "object" if "properties" in schema else "array" if "items" in schema else "string"
    given = schema.get("type", default)
    kind = str(given[0] if isinstance(given, list) else given).lower()
    if kind not in _TYPES:
        raise UnfitSchemaError(f"{kind!r} is none of JSON Schema's types.")
    return kind


def _referred(reference: str, root: Json) -> Json:
    """Return what `#/$defs/Name` leads to."""
    if not reference.startswith("#"):
        raise UnfitSchemaError(f"{reference} is not a place of the same document.")
    place: Any = root
    try:
        for part in reference.split("/")[1:]:
            place = place[part.replace("~1", "/").replace("~0", "~")]
    except (KeyError, TypeError) as error:
        raise UnfitSchemaError(f"{reference} leads nowhere in the schema.") from error
    return dict(place)


def _merged(schema: Json, root: Json) -> Json:
    """Return a schema with its allOf worked in: of objects, as classes that inherit are written."""
    merged = {key: given for key, given in schema.items() if key != "allOf"}
    for given in schema["allOf"]:
        part = _referred(str(given["$ref"]), root) if "$ref" in given else given
        properties = merged.get("properties", {}) | part.get("properties", {})
        merged = {**part, **merged, **({"properties": properties} if properties else {})}
    return merged


def _first_of(rest: Json, choices: list[Json], root: Json, inside: frozenset[str]) -> Any:  # noqa: ANN401  # any JSON value
    """Return a value of the first choice that has one: what refers to itself has another choice, such as null."""
    for number, choice in enumerate(choices, start=1):
        both = choice if "$ref" in choice else {**rest, **choice}
        try:
            return _value(both, root, inside)
        except UnfitSchemaError:
            if number == len(choices):
                raise
    raise UnfitSchemaError("The schema has no choice.")


def _object(schema: Json, root: Json, inside: frozenset[str]) -> Json:
    required = schema.get("required") or ()
    made = {}
    for name, part in (schema.get("properties") or {}).items():
        try:
            made[name] = _value(part, root, inside)
        except UnfitSchemaError:
            if name in required:
                raise
    if missing := [name for name in required if name not in made]:
        raise UnfitSchemaError(f"The required property {missing[0]!r} is not among the properties.")
    if len(made) < int(schema.get("minProperties", 0)):
        raise UnfitSchemaError("There are fewer properties than minProperties.")
    return made


def _array(schema: Json, root: Json, inside: frozenset[str]) -> list[Any]:
    least = int(schema.get("minItems", 1))
    if least > 1 and schema.get("uniqueItems"):
        raise UnfitSchemaError("Several unique items are not made here.")
    if int(schema.get("maxItems", least)) == 0:
        return []
    try:
        item = _value(schema.get("items", {}), root, inside)
    except UnfitSchemaError:
        if schema.get("minItems"):
            raise
        return []
    return [item] * max(least, 1)


def _number(schema: Json) -> float:
    """Return 1, or 1.5 where fractions are allowed, or the nearest that the bounds and the step allow."""
    whole = _kind(schema) == "integer"
    number = 1 if whole else 1.5
    step = schema.get("multipleOf") or (1 if whole else 0)
    if (low := schema.get("minimum", schema.get("exclusiveMinimum"))) is not None:
        number = max(number, low + ("exclusiveMinimum" in schema) * (step or 0.5))
    if (high := schema.get("maximum", schema.get("exclusiveMaximum"))) is not None:
        number = min(number, high - ("exclusiveMaximum" in schema) * (step or 0.5))
    if step:
        number = math.ceil(number / step) * step
        number = number - step if high is not None and number > high else number
    if low is not None and number < low:
        raise UnfitSchemaError("No number is within the bounds.")
    return int(number) if whole else number


def _string(schema: Json) -> str:
    if "pattern" in schema:
        raise UnfitSchemaError("A string for a pattern is not made here; enum or format is.")
    given = schema.get("format")
    if given in _FORMATS:
        return _FORMATS[given]
    text = "example".ljust(int(schema.get("minLength", 0)), "e")
    return text[: int(schema.get("maxLength", len(text)))]


def objects(schema: object, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Json]]:
    """Yield each schema of an object inside a schema, with the way to it, the outermost first."""
    if isinstance(schema, list):
        for number, part in enumerate(schema):
            yield from objects(part, (*place, str(number)))
    elif isinstance(schema, dict):
        kinds = schema.get("type")
        if "properties" in schema or "object" in (kinds if isinstance(kinds, list) else [kinds]):
            yield place, schema
        for key in ("properties", "$defs", "definitions"):
            for name, part in (schema.get(key) or {}).items():
                yield from objects(part, (*place, key, name))
        for key in ("items", "anyOf", "oneOf", "allOf"):
            yield from objects(schema.get(key), (*place, key))


def openai_problem(schema: Json, *, strict: bool) -> str:
    """Return what OpenAI has against a schema, in its words, or "".

    "Structured model outputs", supported schemas: the root is an object; of a strict one all fields are required, and
    additionalProperties is false in every object.
    """
    kind = schema.get("type")
    if kind != "object":
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
    for place, part in objects(schema) if strict else ():
        context = f"In context=({', '.join(repr(name) for name in place)}{',' if len(place) == 1 else ''}),"
        if part.get("additionalProperties") is not False:
            return f"{context} 'additionalProperties' is required to be supplied and to be false."
        names, required = list(part.get("properties") or {}), part.get("required") or []
        wanted = "'required' is required to be supplied and to be an array including every key in properties."
        if missing := [name for name in names if name not in required]:
            return f"{context} {wanted} Missing '{missing[0]}'."
        if extra := [name for name in required if name not in names]:
            return f"{context} {wanted} Extra required key '{extra[0]}' supplied."
    return ""


def anthropic_problem(schema: Json) -> str:
    """Return what Anthropic's structured outputs have against an answer's schema, in its words, or ""."""
    if any(part.get("additionalProperties") is not False for _, part in objects(schema)):
        return "For 'object' type, 'additionalProperties' must be explicitly set to false"
    return ""
