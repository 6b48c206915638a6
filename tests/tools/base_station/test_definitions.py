"""The schemas, without their sentences: equal to the published reference where it is at hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from telegym.core.errors import ToolDefinitionError
from telegym.tools.base_station._definition import definition, definitions, make_tool, schema
from telegym.tools.base_station._format import FULL, Report

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def reference() -> Path:
    """A folder with the published tool listings."""
    place = Path(os.environ.get("TELEGYM_BASE_STATION_DATA", ROOT.parent / "shared" / "base_station"))
    if not (place / "tools.json").exists():
        pytest.skip(f"no tools.json in {place}; set TELEGYM_BASE_STATION_DATA to the folder that holds it")
    return place


def _bare(part: Any) -> Any:
    """Leave out the texts."""
    if isinstance(part, dict):
        return {
            key: {name: _bare(item) for name, item in value.items()} if key == "properties" else _bare(value)
            for key, value in part.items()
            if key != "description" or not isinstance(value, str)
        }
    return part


def test_schemas_are_those_of_the_reference(reference: Path) -> None:
    published = [entry["function"] for entry in json.loads((reference / "tools.json").read_text())]
    assert [entry["name"] for entry in published] == list(definitions())
    for entry in published:
        ours = schema(entry["name"])["parameters"]
        assert _bare(ours) == _bare(entry["parameters"]), entry["name"]
        assert list(ours["properties"]) == list(entry["parameters"]["properties"])


def test_risk_time_and_money_are_those_of_the_reference(reference: Path) -> None:
    for entry in json.loads((reference / "tools_meta.json").read_text()):
        ours = definition(entry["schema"]["function"]["name"])
        assert (ours.group, ours.risk) == (entry["group"], entry["risk"])
        if ours.minutes is not None:
            assert ours.minutes == float(entry["minutes"])
        if ours.cost is not None:
            assert ours.cost == float(entry["money"])


def test_sixty_tools() -> None:
    assert len(definitions()) == 60
    with pytest.raises(ToolDefinitionError, match="Did you mean 'reset_node'"):
        definition("reset_nodes")


def _example(spec: dict[str, Any]) -> Any:
    """Return a value that fits."""
    if "enum" in spec:
        return spec["enum"][-1]
    kind = spec["type"]
    if kind == "array":
        return [_example(spec["items"])] * max(spec.get("minItems", 1), 1)
    texts = {"^S[0-9]{3}$": "S012"}
    return {
        "string": texts.get(spec.get("pattern", ""), "x"),
        "integer": spec.get("maximum", 1),
        "number": spec.get("maximum", 1.5),
        "boolean": False,
        "object": {"a": 1},
    }[kind]


def _wrong(spec: dict[str, Any]) -> list[Any]:
    """Return values that do not fit."""
    found: list[Any] = [None, {"a": [1]} if spec["type"] != "object" else [1]]
    if "enum" in spec:
        found += ["no such thing", 7]
    if spec["type"] in ("integer", "number"):
        found += ["5", True, *([spec["maximum"] + 1] if "maximum" in spec else [])]
        found += [spec["minimum"] - 1] if "minimum" in spec else []
    if spec["type"] == "integer":
        found.append(1.5)
    if spec["type"] == "boolean":
        found += [1, "true"]
    if spec["type"] == "array":
        found += ["x", [1], ["x"] * (spec.get("maxItems", 100) + 1)]
        found += [[]] if spec.get("minItems") else []
    if "maxLength" in spec:
        found.append("x" * (spec["maxLength"] + 1))
    if "pattern" in spec:
        found += ["S12", "xS012", "S0123"]
    return found


@pytest.mark.parametrize("name", list(definitions()))
def test_arguments_are_checked_quickly_and_rightly(name: str) -> None:
    fixed = definition(name)
    tool = make_tool(name, lambda network, report: Report(), FULL)
    complete = {parameter: _example(spec) for parameter, spec in fixed.parameters.items()}
    needed = {parameter: complete[parameter] for parameter in fixed.required}
    assert tool.validate(complete) is complete
    assert tool.validate(needed) is needed
    for missing in fixed.required:
        with pytest.raises(Exception, match=f"{missing}.*Parameters: "):
            tool.validate({key: item for key, item in complete.items() if key != missing})
    with pytest.raises(Exception, match=r"stray.*Parameters: "):
        tool.validate({**complete, "stray": 1})
    for parameter, spec in fixed.parameters.items():
        for item in _wrong(spec):
            with pytest.raises(Exception, match="Parameters: "):
                tool.validate({**complete, parameter: item})


def test_whole_numbers_written_as_decimals_are_accepted_as_whole_numbers() -> None:
    tool = make_tool("wait", lambda network, report, minutes: Report(), FULL)
    assert repr(tool.validate({"minutes": 30.0})) == "{'minutes': 30}"
