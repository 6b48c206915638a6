"""An agent that calls random tools with arguments their schemas accept.

It is the baseline that knows nothing, and a probe: whatever it calls must be answered. Ids are drawn from what the
transcript has shown so far, so that its calls reach real records.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from telegym.agents.base import Action, Agent
from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message, ToolCall

__all__ = ["RandomAgent", "SchemaSampler", "seen_strings"]

Schema = Mapping[str, Any] | bool

_ID = re.compile(r"[A-Za-z0-9][\w.:-]*\d[\w.:-]*|[A-Z][\w-]+")
_WORDS = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot")
_SPAN = 1000
_MORE_ITEMS = 3
_DEPTH = 6


def seen_strings(messages: Sequence[Message]) -> list[str]:
    """Return the words of a transcript that look like names or ids, once each, in order of appearance."""
    found: dict[str, None] = {}
    for message in messages:
        for match in _ID.findall(message.content or ""):
            found[match.rstrip(".:-")] = None
    return list(found)


class RandomAgent(Agent):
    """Calls one random tool a turn.

    Args:
        seed: Decides all choices.
        talk: Probability of saying something instead of calling a tool; leave 0 where nobody listens.
    """

    name = "random"

    def __init__(self, *, seed: int = 0, talk: float = 0.0) -> None:
        if not 0 <= talk <= 1:
            raise ConfigurationError(f"talk is a probability between 0 and 1, not {talk}")
        self.seed = seed
        self._talk = talk

    def act(self, episodes: Sequence[Episode]) -> list[Action]:
        """Return one random call for each episode."""
        return [self._choose(episode) for episode in episodes]

    def _choose(self, episode: Episode) -> Message:
        rng = self.stream(episode)
        schemas = episode.toolkit.schemas("assistant")
        if not schemas or rng.random() < self._talk:
            return Message(role="assistant", content=f"Could you tell me more about {rng.choice(_WORDS)}?")
        function = rng.choice(schemas)["function"]
        sampler = SchemaSampler(rng, seen_strings(episode.agent_messages()))
        arguments = sampler.sample(function["parameters"])
        call = ToolCall(id=f"call_{len(episode.calls)}", name=function["name"], arguments=arguments)
        return Message(role="assistant", tool_calls=(call,))


class SchemaSampler:
    """Draws values that a JSON Schema accepts.

    All of what tool schemas use is met: types, enums, constants, bounds, lengths, nested objects and arrays, `anyOf`,
    `oneOf`, `allOf`, `$ref`. Of patterns, those made of characters, classes and counts; for others a known string is
    taken if one fits.

    Args:
        rng: The source of chance.
        strings: Strings worth trying where any string is valid, for example ids seen so far.
    """

    def __init__(self, rng: Random, strings: Sequence[str] = ()) -> None:
        self._rng = rng
        self._strings = strings
        self._root: Schema = True

    def sample(self, schema: Schema) -> Any:
        """Return a value the schema accepts; `$ref` is resolved within it."""
        self._root = schema
        return self._value(schema, 0)

    def _value(self, schema: Schema, depth: int) -> Any:
        if isinstance(schema, bool):
            return self._string({})
        schema = self._resolve(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._rng.choice(schema["enum"])
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._alternative(schema, key, depth)
        return self._typed(schema, depth)

    def _alternative(self, schema: Mapping[str, Any], key: str, depth: int) -> Any:
        rest = {name: value for name, value in schema.items() if name != key}
        options = [self._resolve(option) if not isinstance(option, bool) else {} for option in schema[key]]
        # Deep down only leaves are taken, so that recursive schemas end.
        leaves = [option for option in options if option.get("type") not in ("array", "object")]
        option = self._rng.choice(leaves if depth >= _DEPTH and leaves else options)
        return self._value(_merge(rest, option), depth)

    def _resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            schema = _merge(rest, self._lookup(schema["$ref"]))
        for part in schema.get("allOf", ()):
            rest = {key: value for key, value in schema.items() if key != "allOf"}
            schema = _merge(rest, self._resolve(part))
        return schema

    def _lookup(self, reference: str) -> Mapping[str, Any]:
        found: Any = self._root
        for part in reference.removeprefix("#").strip("/").split("/"):
            if part:
                found = found[part.replace("~1", "/").replace("~0", "~")]
        return found if isinstance(found, Mapping) else {}

    def _typed(self, schema: Mapping[str, Any], depth: int) -> Any:
        kind = schema.get("type") or _implied_type(schema)
        if isinstance(kind, list):
            kind = self._rng.choice(kind)
        match kind:
            case "boolean":
                return self._rng.random() < 0.5
            case "null":
                return None
            case "integer":
                return self._integer(schema)
            case "number":
                return self._number(schema)
            case "array":
                return self._array(schema, depth)
            case "object":
                return self._object(schema, depth)
            case _:
                return self._string(schema)

    def _integer(self, schema: Mapping[str, Any]) -> int:
        low, high = _bounds(schema)
        step = schema.get("multipleOf", 1)
        step = int(step) if float(step).is_integer() else 1
        first, last = math.ceil(low / step), math.floor(high / step)
        if "exclusiveMinimum" in schema and first * step == schema["exclusiveMinimum"]:
            first += 1
        if "exclusiveMaximum" in schema and last * step == schema["exclusiveMaximum"]:
            last -= 1
        return self._rng.randint(first, max(first, last)) * step

    def _number(self, schema: Mapping[str, Any]) -> float:
        low, high = _bounds(schema)
        if "multipleOf" in schema:
            step = schema["multipleOf"]
            return float(self._rng.randint(math.ceil(low / step), math.floor(high / step)) * step)
        value = low + (high - low) * (0.001 + 0.998 * self._rng.random())
        rounded = round(value, 2)
        return rounded if low < rounded < high else value

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        fixed = schema.get("prefixItems", [])
        least = schema.get("minItems", 0)
        most = schema.get("maxItems", least if depth >= _DEPTH else max(least, len(fixed)) + _MORE_ITEMS)
        size = self._rng.randint(least, max(least, most))
        if schema.get("items") is False:
            size = min(size, len(fixed))
        values: list[Any] = []
        for _ in range(50 * size):
            if len(values) == size:
                break
            item = fixed[len(values)] if len(values) < len(fixed) else schema.get("items", True)
            value = self._value(item, depth + 1)
            if not (schema.get("uniqueItems") and _contains(values, value)):
                values.append(value)
        return values

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        required = schema.get("required", [])
        optional = [name for name in schema.get("properties", {}) if name not in required and depth < _DEPTH]
        names = [*required, *(name for name in optional if self._rng.random() < 0.5)]
        properties = schema.get("properties", {})
        return {name: self._value(properties.get(name, True), depth + 1) for name in names}

    def _string(self, schema: Mapping[str, Any]) -> str:
        known: list[str] = [
            text for text in (*self._strings, *schema.get("examples", ()), *_WORDS) if _fits(text, schema)
        ]
        if "pattern" in schema and not known:
            return _from_pattern(schema["pattern"], self._rng)
        if known and self._rng.random() < 0.9:
            return self._rng.choice(known)
        if "pattern" in schema:
            return self._rng.choice(known)
        if schema.get("format") in ("date", "date-time"):
            return _date(self._rng, schema["format"])
        least = schema.get("minLength", 0)
        size = self._rng.randint(least, max(least, min(schema.get("maxLength", least + 8), least + 8)))
        return "".join(self._rng.choice("abcdefghijklmnopqrstuvwxyz0123456789 ") for _ in range(size))


def _merge(left: Mapping[str, Any], right: Mapping[str, Any] | bool) -> dict[str, Any]:
    if isinstance(right, bool):
        return dict(left)
    merged = {**left, **right}
    if "properties" in left and "properties" in right:
        merged["properties"] = {**left["properties"], **right["properties"]}
    if "required" in left and "required" in right:
        merged["required"] = list(dict.fromkeys([*left["required"], *right["required"]]))
    return merged


def _implied_type(schema: Mapping[str, Any]) -> str:
    if "properties" in schema or "required" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    if any(key in schema for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")):
        return "number"
    return "string"


def _bounds(schema: Mapping[str, Any]) -> tuple[float, float]:
    lows = [schema[key] for key in ("minimum", "exclusiveMinimum") if key in schema]
    highs = [schema[key] for key in ("maximum", "exclusiveMaximum") if key in schema]
    if lows:
        low = max(lows)
        return low, min(highs) if highs else low + _SPAN
    return (min(highs) - _SPAN, min(highs)) if highs else (0, _SPAN)


def _contains(values: Sequence[Any], value: Any) -> bool:
    text = json.dumps(value, sort_keys=True)
    return any(json.dumps(other, sort_keys=True) == text for other in values)


def _fits(value: object, schema: Mapping[str, Any]) -> bool:
    if not isinstance(value, str) or not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf):
        return False
    if schema.get("format") in ("date", "date-time"):
        shape = r"\d{4}-\d\d-\d\d" if schema["format"] == "date" else r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
        return re.fullmatch(shape, value) is not None
    return "pattern" not in schema or re.search(schema["pattern"], value) is not None


def _date(rng: Random, kind: str) -> str:
    day = f"{rng.randint(2020, 2030)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    if kind == "date":
        return day
    return f"{day}T{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}Z"


_ATOM = re.compile(r"(\[[^\]]+\]|\\.|[^\\\[])(?:\{(\d+)(?:,(\d*))?\}|([*+?]))?")
_CLASSES = {r"\d": "0123456789", r"\w": "abcdefghijklmnopqrstuvwxyz0123456789_", r"\s": " ", ".": "abc123"}


def _from_pattern(pattern: str, rng: Random) -> str:
    text = ""
    for atom, low, high, mark in _ATOM.findall(pattern.removeprefix("^").removesuffix("$")):
        least, most = {"*": (0, 3), "+": (1, 3), "?": (0, 1), "": (1, 1)}[mark]
        if low:
            least = int(low)
            # `{2}` leaves no trace of a comma in the groups; `{2,}` is read as exactly two, which it allows.
            most = int(high) if high else least
        characters = _characters(atom)
        text += "".join(rng.choice(characters) for _ in range(rng.randint(least, most)))
    return text


def _characters(atom: str) -> str:
    if atom in _CLASSES:
        return _CLASSES[atom]
    if not atom.startswith("["):
        return atom[-1]
    candidates = [chr(code) for code in range(32, 127)]
    matching = re.compile(atom)
    return "".join(character for character in candidates if matching.match(character)) or "?"
