"""Quick acceptance of arguments that fit; whatever does not is left to the full validator, which explains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic_core import SchemaValidator, core_schema

from telegym.core.tool import Validator

__all__ = ["with_quick_acceptance"]

Schema = dict[str, Any]


def _string(schema: Schema) -> core_schema.CoreSchema:
    if "enum" in schema:
        return core_schema.literal_schema(schema["enum"])
    return core_schema.str_schema(max_length=schema.get("maxLength"), pattern=schema.get("pattern"), strict=True)


def _integer(schema: Schema) -> core_schema.CoreSchema:
    return core_schema.int_schema(ge=schema.get("minimum"), le=schema.get("maximum"), strict=True)


def _number(schema: Schema) -> core_schema.CoreSchema:
    return core_schema.float_schema(ge=schema.get("minimum"), le=schema.get("maximum"), strict=True)


def _array(schema: Schema) -> core_schema.CoreSchema:
    items = _compiled(schema["items"])
    return core_schema.list_schema(
        items, min_length=schema.get("minItems"), max_length=schema.get("maxItems"), strict=True
    )


_TYPES: dict[str, Callable[[Schema], core_schema.CoreSchema]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": lambda schema: core_schema.bool_schema(strict=True),
    "array": _array,
    "object": lambda schema: core_schema.dict_schema(strict=True),
}


def _compiled(schema: Schema) -> core_schema.CoreSchema:
    return _TYPES[schema["type"]](schema)


def with_quick_acceptance(parameters: Schema, explain: Validator) -> Validator:
    """Return a validator that accepts what fits within a microsecond.

    Args:
        parameters: JSON Schema of a tool's arguments, of flat types.
        explain: The validator that decides about, and explains, everything else.
    """
    required = set(parameters.get("required", ()))
    fields = {
        name: core_schema.typed_dict_field(_compiled(schema), required=name in required)
        for name, schema in parameters["properties"].items()
    }
    accepts = SchemaValidator(core_schema.typed_dict_schema(fields, extra_behavior="forbid")).isinstance_python
    whole = [name for name, schema in parameters["properties"].items() if schema["type"] == "integer"]

    def validate(arguments: Schema) -> Schema:
        if accepts(arguments):
            return arguments
        checked = explain(arguments)
        # JSON Schema counts 20.0 as a whole number; functions shall get 20.
        return {name: int(item) if name in whole else item for name, item in checked.items()}

    return validate
