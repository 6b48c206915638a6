from __future__ import annotations

import json
import logging
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ConfigDict, Field

from telegym.core.errors import ToolDefinitionError
from telegym.core.messages import ToolCall
from telegym.core.tool import MAX_DEPTH, MAX_SIZE, CallError, Tool, Toolkit, ToolOutcome, tool
from tests.lamp import TOOLKIT, Lamp, State

if TYPE_CHECKING:
    from tests.nowhere import Building  # type: ignore[import-not-found, import-untyped, unused-ignore]


class Band(Enum):
    LOW = "n28"
    HIGH = "n78"


class Position(BaseModel):
    """Where it stands."""

    model_config = ConfigDict(extra="forbid")

    latitude: float = Field(description="Degrees north.", ge=-90, le=90)
    height: int = Field(10, description="Metres above ground.")


@tool(kind="write", risk="high", minutes=3, cost=2.5)
def tune(
    building: Building,
    band: Band,
    position: Position | dict[str, str],
    mode: Literal["fast", "slow"] = "fast",
    gain: Annotated[float, Field(ge=0, le=30)] = 1.5,
    note: str | None = None,
    tags: list[str] = [],  # noqa: B006 - the default a tool author would write
    count: Annotated[int, "How often."] = 1,
) -> dict[str, Any]:
    """Tune an antenna.

    It takes a while.

    Args:
        building: The building.
        band: Frequency band.
        position: Where it stands.
        mode: How.
        gain: In dB.
        note: Free text.
        tags: Labels,
            several.
    """
    return {"band": band.value, "position": position, "gain": gain, "count": count, "mode": mode, "note": note}


@tool
def ring(building: Building, number: str, seconds: float, loud: bool = False) -> str:
    """Ring a phone.

    Args:
        number: The number.
        seconds: How long.
        loud: Whether it is heard.
    """
    return f"{number} {seconds!r} {loud}"


KIT = Toolkit([tune, ring])


def run(name: str, **arguments: Any) -> ToolOutcome:
    return KIT.execute(Lamp(State()), ToolCall(id="1", name=name, arguments=arguments))


def test_schema_from_annotations() -> None:
    Draft202012Validator.check_schema(tune.parameters)
    properties = tune.parameters["properties"]
    assert tune.description == "Tune an antenna.\n\nIt takes a while."
    assert list(properties) == ["band", "position", "mode", "gain", "note", "tags", "count"]
    assert tune.parameters["required"] == ["band", "position"]
    assert tune.parameters["additionalProperties"] is False
    assert tune.parameters["$defs"]["Band"]["enum"] == ["n28", "n78"]
    assert properties["gain"] == {
        "default": 1.5,
        "description": "In dB.",
        "maximum": 30,
        "minimum": 0,
        "type": "number",
    }
    assert properties["note"]["anyOf"] == [{"type": "string"}, {"type": "null"}]
    assert properties["tags"]["description"] == "Labels, several."
    assert properties["count"]["description"] == "How often."
    assert "title" not in json.dumps(tune.parameters)
    assert (tune.kind, tune.risk, tune.minutes, tune.cost) == ("write", "high", 3, 2.5)


def test_rich_arguments_arrive_as_their_types() -> None:
    outcome = run("tune", band="n78", position={"latitude": 52})
    assert outcome.error is None and outcome.minutes == 3
    assert json.loads(outcome.content)["position"] == {"latitude": 52.0, "height": 10}


def test_an_integer_is_a_number_and_nothing_else_is_coerced() -> None:
    assert run("ring", number="1", seconds=2).content == "1 2 False"
    for wrong in ({"seconds": "2"}, {"seconds": True}, {"number": 1}, {"loud": 1}, {"loud": "true"}, {"seconds": None}):
        outcome = run("ring", **{"number": "1", "seconds": 1.0, **wrong})
        assert outcome.error is CallError.INVALID_ARGUMENTS
        assert next(iter(wrong)) in outcome.content


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "argument 'number' is missing; argument 'seconds' is missing"),
        ({"number": "1", "seconds": 1, "lod": True}, "unknown argument 'lod' (did you mean 'loud'?)"),
        ({"number": "1", "seconds": float("nan")}, "nan is not a JSON number"),
        ({"number": "1", "seconds": float("inf")}, "inf is not a JSON number"),
        ({"number": "\ud800", "seconds": 1}, "surrogate"),
        ({"number": b"1", "seconds": 1}, "a bytes is not a JSON value"),
    ],
)
def test_invalid_arguments_are_explained(arguments: dict[str, Any], said: str) -> None:
    outcome = run("ring", **arguments)
    assert outcome.error is CallError.INVALID_ARGUMENTS
    assert said in outcome.content


def test_valid_parameters_are_listed_with_their_types() -> None:
    assert "Parameters: number (string), seconds (number), loud (boolean)." in run("ring").content
    assert "band (one of 'n28', 'n78')" in run("tune").content


@pytest.mark.parametrize("name", ["tune", "ring"])
def test_oversized_and_deep_arguments_are_refused(name: str) -> None:
    deep: Any = "x"
    for _ in range(MAX_DEPTH + 1):
        deep = {"a": deep}
    assert run(name, position=deep).error is CallError.TOO_LARGE
    assert run(name, number="x" * (MAX_SIZE + 1)).error is CallError.TOO_LARGE
    assert run(name, tags=[0] * (MAX_SIZE + 1)).error is CallError.TOO_LARGE


def test_unknown_tool_and_wrong_side() -> None:
    world = Lamp(State(on=True))
    unknown = TOOLKIT.execute(world, ToolCall(id="1", name="swich_lamp"))
    assert unknown.error is CallError.UNKNOWN_TOOL and "Did you mean 'switch_lamp'?" in unknown.content
    other = TOOLKIT.execute(world, ToolCall(id="1", name="unplug_lamp"))
    assert other.error is CallError.WRONG_SIDE and "tool of the user" in other.content
    assert world.state == State(on=True)
    assert TOOLKIT.execute(world, ToolCall(id="1", name="unplug_lamp", requestor="user")).error is None


def test_a_failing_tool_is_an_internal_error_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    @tool(kind="write")
    def explode(lamp: Lamp) -> str:
        """Fail halfway."""
        lamp.state = State(on=True, level=9)
        raise KeyError("half")

    world = Lamp(State())
    with caplog.at_level(logging.ERROR):
        outcome = Toolkit([explode]).execute(world, ToolCall(id="1", name="explode"))
    assert outcome.error is CallError.INTERNAL and world.state == State()
    assert "explode" in caplog.text


def make_without_docstring() -> Tool:
    @tool
    def bare(world: Lamp) -> str:
        return ""

    return bare


def make_undescribed() -> Tool:
    @tool
    def act(world: Lamp, level: int) -> str:
        """Act."""
        return ""

    return act


def make_unannotated() -> Tool:
    @tool
    def act(world: Lamp, level) -> str:  # type: ignore[no-untyped-def]
        """Act.

        Args:
            level: A level.
        """
        return ""

    return act


def make_variadic() -> Tool:
    @tool
    def act(world: Lamp, *levels: int) -> str:
        """Act.

        Args:
            levels: Levels.
        """
        return ""

    return act


def make_misspelt() -> Tool:
    @tool
    def act(world: Lamp, level: int) -> str:
        """Act.

        Args:
            levle: A level.
        """
        return ""

    return act


def make_unresolvable() -> Tool:
    @tool
    def act(world: Lamp, level: Building) -> str:
        """Act.

        Args:
            level: A level.
        """
        return ""

    return act


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (make_without_docstring, "no description"),
        (make_undescribed, "no description for parameter 'level'"),
        (make_unannotated, "'level' has no type annotation"),
        (make_variadic, "'levels' cannot be passed by name"),
        (make_misspelt, "'levle', which is no parameter. Did you mean 'level'?"),
        (make_unresolvable, "'Building' of parameter 'level' cannot be resolved"),
    ],
)
def test_the_author_of_a_tool_is_told_what_is_wrong(make: Any, said: str) -> None:
    with pytest.raises(ToolDefinitionError, match=r"tool '\w+'") as caught:
        make()
    assert said in str(caught.value)


SCHEMA = {
    "name": "dial",
    "description": "Dial a number.",
    "parameters": {
        "type": "object",
        "properties": {"number": {"type": "string", "description": "Digits.", "pattern": "^[0-9]+$"}},
        "required": ["number"],
    },
}


@pytest.mark.parametrize("wrapped", [SCHEMA, {"type": "function", "function": SCHEMA}])
def test_tool_from_a_schema(wrapped: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "dial.json"
    path.write_text(json.dumps(wrapped))
    kit = Toolkit([Tool.from_file(path, lambda world, number: f"dialled {number}", minutes=1)])
    world = Lamp(State())
    assert kit.execute(world, ToolCall(id="1", name="dial", arguments={"number": "12"})).content == "dialled 12"
    for wrong in ({}, {"number": "a"}, {"number": 12}, {"number": "1", "other": 2}):
        assert kit.execute(world, ToolCall(id="1", name="dial", arguments=wrong)).error is CallError.INVALID_ARGUMENTS


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "no name"}, "not an identifier"),
        ({"description": " "}, "no description"),
        ({"parameters": {"type": "array"}}, "type object"),
        ({"parameters": {"type": "object", "properties": {"a": {"type": "strin"}}}}, "invalid JSON Schema"),
        ({"parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}, "no description for a"),
        (
            {"parameters": {"type": "object", "properties": {"a": {"description": "x", "$ref": "http://x.example/"}}}},
            "leaves the schema",
        ),
    ],
)
def test_an_unusable_schema_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ToolDefinitionError, match=said):
        Tool.from_schema({**SCHEMA, **change}, lambda world: "")


def test_names_are_unique() -> None:
    with pytest.raises(ToolDefinitionError, match="two tools named 'ring'"):
        Toolkit([ring, ring])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(["number", "seconds", "loud", "x"]), json_values, json_values)
def test_validation_agrees_with_the_published_schema(name: str, value: Any, number: Any) -> None:
    arguments = {"number": number, "seconds": 1.0, name: value}
    outcome = run("ring", **arguments)
    try:
        json.dumps(arguments, allow_nan=False)
    except ValueError:
        assert outcome.error is CallError.INVALID_ARGUMENTS
        return
    valid = Draft202012Validator(ring.parameters).is_valid(arguments)
    assert (outcome.error is None) == valid
