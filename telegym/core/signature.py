"""From a Python signature to a JSON Schema and a compiled validator."""

from __future__ import annotations

import inspect
import types
import typing
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

import docstring_parser
import pydantic_core
from pydantic import ConfigDict, Field, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo

from telegym.core.errors import ToolDefinitionError, did_you_mean

__all__ = ["Compiled", "compile_signature", "describe", "remote_reference", "undescribed"]

_PLAIN_TYPES = (str, int, float, bool, type(None), Any, dict, list)
_NAMELESS = {"POSITIONAL_ONLY", "VAR_POSITIONAL", "VAR_KEYWORD"}


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a typed function says about its arguments."""

    description: str
    """The docstring without its sections."""
    parameters: dict[str, Any]
    """JSON Schema of the arguments."""
    validator: Any
    """A pydantic-core `SchemaValidator` in strict mode."""
    names: tuple[str, ...]
    """Parameter names in order."""
    summaries: tuple[str, ...]
    """Each parameter with its type, for error messages."""
    plain: bool
    """Whether all annotations are plain JSON types, so that validated arguments need no conversion."""


def compile_signature(function: Callable[..., Any], name: str) -> Compiled:
    """Read a function's signature and docstring.

    Args:
        function: The function; its first parameter is the world.
        name: The tool's name, for error messages.

    Raises:
        ToolDefinitionError: If the function cannot be a tool; the message names it and the parameter.
    """
    parsed = docstring_parser.parse(inspect.getdoc(function) or "")
    documented = {param.arg_name: _one_line(param.description or "") for param in parsed.params}
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters:
        raise ToolDefinitionError(f"tool {name!r}: the first parameter must be the world; the function has none")
    accepted = [parameter.name for parameter in parameters]
    stray = next((item for item in documented if item not in accepted), None)
    if stray is not None:
        hint = did_you_mean(stray, accepted)
        raise ToolDefinitionError(f"tool {name!r}: the docstring describes {stray!r}, which is no parameter.{hint}")
    fields = {item.name: _field(function, name, item, documented) for item in parameters[1:]}
    model = _make_model(name, fields)
    schema = _clean(model.model_json_schema())
    schema.pop("description", None)
    schema.setdefault("properties", {})
    text = "\n\n".join(part for part in (parsed.short_description, parsed.long_description) if part)
    plain = all(_is_plain(annotation) for annotation, _ in fields.values())
    summaries = tuple(f"{key} ({_type_name(value, schema)})" for key, value in schema["properties"].items())
    return Compiled(text, schema, model.__pydantic_validator__, tuple(fields), summaries, plain)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _field(
    function: Callable[..., Any], name: str, parameter: inspect.Parameter, documented: dict[str, str]
) -> tuple[Any, FieldInfo]:
    """Return annotation and field of one parameter."""
    if parameter.kind.name in _NAMELESS:
        raise ToolDefinitionError(f"tool {name!r}: parameter {parameter.name!r} cannot be passed by name")
    if parameter.annotation is parameter.empty:
        raise ToolDefinitionError(f"tool {name!r}: parameter {parameter.name!r} has no type annotation")
    annotation = _resolve(function, name, parameter)
    described = documented.get(parameter.name) or _annotated_description(annotation)
    if not described:
        raise ToolDefinitionError(f"tool {name!r}: no description for parameter {parameter.name!r}")
    default = ... if parameter.default is parameter.empty else parameter.default
    return annotation, Field(default, description=described)


def _resolve(function: Callable[..., Any], name: str, parameter: inspect.Parameter) -> Any:
    """Evaluate one annotation alone, so that the world's type may be imported for type checkers only."""
    annotation = parameter.annotation
    if not isinstance(annotation, str):
        return annotation
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        scope = inspect.unwrap(function).__globals__
        return typing.get_type_hints(holder, scope, include_extras=True)["it"]
    except Exception as error:
        raise ToolDefinitionError(
            f"tool {name!r}: annotation {annotation!r} of parameter {parameter.name!r} cannot be resolved: {error}"
        ) from error


def _annotated_description(annotation: Any) -> str:
    """Return the description in `Annotated[..., "text"]` or `Annotated[..., Field(description="text")]`."""
    if typing.get_origin(annotation) is not Annotated:
        return ""
    for item in annotation.__metadata__:
        if isinstance(item, str):
            return item
        if isinstance(item, FieldInfo) and item.description:
            return item.description
    return ""


def _make_model(name: str, fields: dict[str, tuple[Any, FieldInfo]]) -> Any:
    config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=(), arbitrary_types_allowed=False
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a parameter may be called `json` or `copy`
            model = create_model(f"{name}_arguments", __config__=config, **fields)  # type: ignore[call-overload]
        model.model_json_schema()
    except (PydanticUserError, NameError, TypeError, ValueError) as error:
        raise ToolDefinitionError(f"tool {name!r}: no JSON Schema for its parameters: {error}") from error
    return model


def _is_plain(annotation: Any) -> bool:
    """Return whether values of this type are the same in JSON and in Python."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _is_plain(annotation.__origin__)
    if origin is Literal:
        return True
    if origin in (Union, types.UnionType, dict, list):
        return all(_is_plain(item) for item in typing.get_args(annotation))
    return annotation in _PLAIN_TYPES


def _clean(schema: dict[str, Any]) -> dict[str, Any]:
    """Drop the titles pydantic adds; they repeat the names."""
    cleaned: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "title" and isinstance(value, str):
            continue
        if key in ("properties", "$defs"):
            cleaned[key] = {name: _clean(item) for name, item in value.items()}
        elif isinstance(value, dict) and key not in ("default", "const"):
            cleaned[key] = _clean(value)
        elif isinstance(value, list) and key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            cleaned[key] = [_clean(item) for item in value]
        else:
            cleaned[key] = value
    return cleaned


def _properties(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every named property of a schema with its path, nested ones too."""
    if isinstance(schema, list):
        for item in schema:
            yield from _properties(item, path)
    if not isinstance(schema, dict):
        return
    for name, item in schema.get("properties", {}).items():
        where = f"{path}.{name}" if path else name
        if isinstance(item, dict):
            yield where, item
            yield from _properties(item, where)
    for key, value in schema.items():
        if key == "$defs" and isinstance(value, dict):
            for name, item in value.items():
                yield from _properties(item, name)
        elif key in ("anyOf", "oneOf", "allOf", "items", "prefixItems", "additionalProperties"):
            yield from _properties(value, path)


def undescribed(schema: dict[str, Any]) -> list[str]:
    """Return the paths of the properties that have no description, nested ones included."""
    return [path for path, item in _properties(schema) if not str(item.get("description", "")).strip()]


def remote_reference(schema: Any) -> str | None:
    """Return the first `$ref` that points outside the schema, or None."""
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str) and not reference.startswith("#"):
            return reference
        children: list[Any] = list(schema.values())
    else:
        children = schema if isinstance(schema, list) else []
    return next((found for child in children if (found := remote_reference(child)) is not None), None)


def _type_name(schema: dict[str, Any], root: dict[str, Any]) -> str:
    """Return a short name of a property's type, for error messages."""
    if "$ref" in schema:
        return _type_name(root.get("$defs", {}).get(schema["$ref"].rpartition("/")[2], {}), root)
    if "enum" in schema:
        return "one of " + ", ".join(repr(value) for value in schema["enum"])
    if "const" in schema:
        return repr(schema["const"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type_name(item, root) for item in schema["anyOf"]))
    return str(schema.get("type", "any"))


def describe(error: pydantic_core.ErrorDetails, names: tuple[str, ...]) -> str:
    """Return one sentence part for one validation error, with the nearest valid name where there is one."""
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"argument {where!r} is missing"
    if error["type"] == "extra_forbidden":
        hint = did_you_mean(where[:100], names).strip().rstrip("?").replace("Did", "did")
        return f"unknown argument {where[:100]!r}" + (f" ({hint}?)" if hint else "")
    given = repr(error["input"])
    shown = given if len(given) <= 80 else f"{given[:77]}..."
    return f"argument {where!r}: {error['msg'][:1].lower()}{error['msg'][1:]}, got {shown}"
