from __future__ import annotations

from random import Random
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.agents.random import RandomAgent, SchemaSampler, seen_strings
from telegym.agents.rollout import rollout
from telegym.core.episode import Limits
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message
from telegym.core.tool import CallError
from tests.toy import COUNTERS, Toy

Schema = dict[str, Any]


def _bounded_integers() -> st.SearchStrategy[Schema]:
    pair = st.tuples(st.integers(-50, 50), st.integers(0, 20))
    return pair.map(lambda p: {"type": "integer", "minimum": p[0], "maximum": p[0] + p[1]})


def _bounded_numbers() -> st.SearchStrategy[Schema]:
    pair = st.tuples(st.floats(-50, 50), st.floats(0.01, 20))
    return pair.map(lambda p: {"type": "number", "exclusiveMinimum": p[0], "exclusiveMaximum": p[0] + p[1]})


def _strings() -> st.SearchStrategy[Schema]:
    pair = st.tuples(st.integers(0, 8), st.integers(0, 8))
    return pair.map(lambda p: {"type": "string", "minLength": p[0], "maxLength": p[0] + p[1]})


LEAVES = st.one_of(
    st.sampled_from(
        [
            {"type": "boolean"},
            {"type": "null"},
            {"type": "integer"},
            {"type": ["string", "null"]},
            {"const": {"a": 1}},
            {"type": "integer", "multipleOf": 5, "minimum": 3, "exclusiveMaximum": 25},
            {"type": "integer", "exclusiveMinimum": 4, "maximum": 5},
            {"type": "number", "multipleOf": 0.5, "maximum": 3},
            {"type": "string", "pattern": r"^C[0-9]{3}-\d{2,4}[A-F]?$"},
            {"type": "string", "pattern": r"^\+49 \w+$"},
            {"maximum": 3},
        ]
    ),
    st.lists(st.one_of(st.integers(), st.text(max_size=3)), min_size=1, max_size=3).map(
        lambda values: {"enum": values}
    ),
    _bounded_integers(),
    _bounded_numbers(),
    _strings(),
)


def _compound(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    names = st.sampled_from(["a", "b", "c"])
    objects = st.dictionaries(names, inner, max_size=3).flatmap(
        lambda properties: st.sets(st.sampled_from(sorted(properties) or ["a"])).map(
            lambda required: {
                "type": "object",
                "properties": properties,
                "required": sorted(required & properties.keys()),
                "additionalProperties": False,
            }
        )
    )
    arrays = st.tuples(inner, st.integers(0, 2), st.integers(0, 2)).map(
        lambda p: {"type": "array", "items": p[0], "minItems": p[1], "maxItems": p[1] + p[2]}
    )
    unions = st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options})
    return st.one_of(objects, arrays, unions)


@settings(max_examples=300, deadline=None)
@given(schema=st.recursive(LEAVES, _compound, max_leaves=8), seed=st.integers(0, 2**32))
def test_samples_are_what_the_schema_accepts(schema: Schema, seed: int) -> None:
    value = SchemaSampler(Random(seed), ["C001", "b", ""]).sample(schema)
    jsonschema.validate(value, schema, jsonschema.Draft202012Validator)


TREE: Schema = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 1},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["name", "next"],
        }
    },
    "allOf": [{"$ref": "#/$defs/node"}, {"properties": {"weight": {"type": "integer"}}, "required": ["weight"]}],
}
PAIR: Schema = {
    "type": "array",
    "prefixItems": [{"type": "integer"}, {"type": "boolean"}],
    "items": False,
    "minItems": 2,
}
UNIQUE: Schema = {"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True, "minItems": 3, "maxItems": 3}
DATES: Schema = {
    "type": "object",
    "properties": {"day": {"type": "string", "format": "date"}, "at": {"type": "string", "format": "date-time"}},
    "required": ["day", "at"],
}


@pytest.mark.parametrize("schema", [TREE, PAIR, UNIQUE, DATES])
@pytest.mark.parametrize("seed", range(30))
def test_samples_of_rarer_schemas(schema: Schema, seed: int) -> None:
    value = SchemaSampler(Random(seed)).sample(schema)
    jsonschema.validate(value, schema, jsonschema.Draft202012Validator)
    if schema is DATES:
        assert value["day"][4] == value["day"][7] == "-"
        assert value["at"].endswith("Z")


def test_schemas_that_grow_without_end_are_cut_where_they_may() -> None:
    schema: Schema = {
        "$defs": {
            "tree": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/tree"}, "minItems": 3}, {"type": "null"}]}
        },
        "$ref": "#/$defs/tree",
    }
    for seed in range(20):
        value = SchemaSampler(Random(seed)).sample(schema)
        jsonschema.validate(value, schema, jsonschema.Draft202012Validator)


def test_words_that_look_like_ids_are_found_once() -> None:
    messages = [
        Message(role="user", content="Bring counter C001 to 7. It is on SIM_CARD-12, said C001."),
        Message(role="tool", content='{"line_id": "L1002", "status": "Active"}'),
        Message(role="assistant"),
    ]
    found = seen_strings(messages)
    assert {"C001", "SIM_CARD-12", "L1002", "Active"} <= set(found)
    assert found.count("C001") == 1


def test_no_call_is_refused_for_its_form_and_known_ids_are_used() -> None:
    env = Toy(limits=Limits(turns=30, errors=None))
    episodes = rollout(env, env.tasks, RandomAgent(), seeds=range(5))
    records = [record for episode in episodes for record in episode.calls]
    assert {record.error for record in records} <= {None, CallError.REFUSED}
    assert any(record.call.arguments.get("counter_id") in COUNTERS and record.error is None for record in records)


def test_talk_is_said_and_checked() -> None:
    env = Toy(talkative=True)
    (episode,) = rollout(env, env.tasks[:1], RandomAgent(talk=1.0))
    assert not episode.calls
    assert episode.turn > 1
    with pytest.raises(ConfigurationError, match="between 0 and 1"):
        RandomAgent(talk=2)


def test_the_seed_decides() -> None:
    env = Toy()

    def calls(seed: int) -> list[Any]:
        episodes = rollout(env, env.tasks, RandomAgent(seed=seed))
        return [record.call for episode in episodes for record in episode.calls]

    assert calls(3) == calls(3)
    assert calls(3) != calls(4)
