"""Values that schemas accept."""

import enum
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

from smart_llmrouter.mockprovider.samples import sample


class Colour(enum.Enum):
    """A closed set."""

    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    """A part of something."""

    when: date
    share: Annotated[float, Field(gt=0, lt=1)]


class Tree(BaseModel):
    """A structure that holds itself."""

    name: str
    children: list["Tree"]


class Chain(BaseModel):
    """A structure that may hold another of its kind."""

    follows: "Chain | None"


class Everything(BaseModel):
    """One of each."""

    text: str
    short: Annotated[str, Field(max_length=3)]
    long: Annotated[str, Field(min_length=40)]
    count: Annotated[int, Field(ge=10, le=20)]
    even: Annotated[int, Field(multiple_of=2, ge=5)]
    low: Annotated[int, Field(lt=-3)]
    flag: bool
    nothing: None
    colour: Colour
    fixed: Literal["only"]
    inner: Inner
    many: Annotated[list[Inner], Field(min_length=3)]
    maybe: int | None
    either: int | str
    when: datetime
    id: UUID
    table: dict[str, int]


@pytest.mark.parametrize("kind", [Everything, Inner, Tree, Chain])
def test_a_sample_is_what_its_schema_says(kind: type[BaseModel]) -> None:
    """What pydantic describes, pydantic accepts."""
    value = sample(kind.model_json_schema())

    assert isinstance(kind.model_validate(value), kind)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (True, {}),
        ({}, "a plausible value"),
        ({"type": ["string", "null"]}, "a plausible value"),
        ({"type": ["null"]}, None),
        ({"enum": [None, 1]}, None),
        ({"const": 4}, 4),
        ({"type": "number", "minimum": 2}, 2),
        ({"type": "string", "format": "email"}, "someone@example.com"),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 1}),
        (
            {
                "allOf": [
                    {"properties": {"a": {"type": "integer"}}, "required": ["a"]},
                    {"properties": {"b": {"type": "boolean"}}, "required": ["b"]},
                ]
            },
            {"a": 1, "b": True},
        ),
    ],
)
def test_samples_of_small_schemas(schema: object, value: object) -> None:
    """Each keyword has its effect."""
    assert sample(schema) == value


def test_variants_differ_where_they_can() -> None:
    """Two calls of one tool ask for different things."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}

    first, second = (sample(schema, variant=variant) for variant in (0, 1))

    assert (first, second) == ({"city": "Paris"}, {"city": "Oslo"})
