"""Values that fit a JSON Schema: as pydantic writes them, whose own check says whether they do."""

from datetime import date
from enum import StrEnum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from local.outside.json_schema import UnfitSchemaError, anthropic_problem, openai_problem, value


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Leaf(BaseModel):
    weight: float = Field(gt=2, le=3)
    count: int = Field(ge=7, multiple_of=5)


class Tree(BaseModel):
    """Refers to itself, in two ways that end."""

    name: str = Field(min_length=12, max_length=14)
    colour: Colour
    kind: Literal["tree"]
    planted: date | None
    leaf: Leaf | str
    leaves: list[Leaf] = Field(min_length=2)
    below: list["Tree"]
    beside: "Tree | None"


@pytest.mark.parametrize("kind", [Tree, list[Tree], dict[str, int], bool, None, list[int | None], Leaf | Tree])
def test_a_value_is_one_of_the_schema(kind: Any) -> None:  # noqa: ANN401  # a type, or a union of some
    adapter = TypeAdapter[Any](kind)
    made = value(adapter.json_schema())
    adapter.validate_python(made, strict=False)
    assert value(adapter.json_schema()) == made


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "OBJECT", "properties": {"a": {"type": "ARRAY", "items": {"type": "NUMBER"}}}}, {"a": [1.5]}),
        ({"properties": {"city": {"type": "STRING"}, "days": {"type": "INTEGER"}}}, {"city": "example", "days": 1}),
        ({"type": ["boolean", "null"]}, True),
        ({"type": "string", "format": "date"}, "2026-01-31"),
        ({}, "example"),
    ],
)
def test_which_value_it_is(schema: dict[str, Any], expected: object) -> None:
    assert value(schema) == expected


def test_classes_that_inherit_are_merged() -> None:
    named = {"type": "object", "properties": {"name": {"const": "one"}}, "required": ["name"]}
    schema = {"$defs": {"Named": named}, "allOf": [{"$ref": "#/$defs/Named"}], "properties": {"size": {"enum": [3]}}}
    assert value(schema) == {"name": "one", "size": 3}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "string", "pattern": "^[0-9]+$"}, "pattern"),
        ({"type": "text"}, "'text' is none of JSON Schema's types"),
        ({"$ref": "#/$defs/Nothing"}, "leads nowhere"),
        ({"$ref": "https://example.com/schema.json"}, "not a place of the same document"),
        ({"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]}, "needs itself"),
        ({"type": "object", "properties": {}, "required": ["a"]}, "'a' is not among the properties"),
        ({"type": "object", "minProperties": 1}, "minProperties"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "within the bounds"),
        ({"type": "array", "minItems": 2, "uniqueItems": True, "items": {}}, "unique"),
        ({"not": {"type": "string"}}, "'not' is not known"),
    ],
)
def test_what_has_no_value_here_is_refused(schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnfitSchemaError, match=reason):
        value(schema)


STRICT = {
    "type": "object",
    "properties": {"inner": {"type": "object", "properties": {}, "additionalProperties": False}},
    "required": ["inner"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, ""),
        ({"type": "array"}, "got 'type: \"array\"'"),
        ({"additionalProperties": True}, "In context=(), 'additionalProperties' is required"),
        ({"required": []}, "Missing 'inner'."),
        ({"required": ["inner", "x"]}, "Extra required key 'x' supplied."),
        ({"properties": {"inner": {"type": ["object", "null"]}}}, "In context=('properties', 'inner'), 'additional"),
    ],
)
def test_what_openai_has_against_a_strict_schema(change: dict[str, Any], problem: str) -> None:
    found = openai_problem(STRICT | change, strict=True)
    assert problem in found
    assert bool(found) == bool(problem)


def test_what_is_not_strict_needs_no_more_than_an_object() -> None:
    assert openai_problem({"type": "object", "properties": {"a": {"type": "string"}}}, strict=False) == ""
    assert openai_problem({"type": "string"}, strict=False) != ""


def test_what_anthropic_has_against_a_schema() -> None:
    assert anthropic_problem(STRICT) == ""
    assert "must be explicitly set to false" in anthropic_problem({"anyOf": [STRICT, {"type": "object"}]})
