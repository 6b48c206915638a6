"""Settings in YAML: checked before anything starts, shipped by name, overridden by dotted keys.

A recipe is a YAML file that is shipped in the folder `recipes` of a package, or a file of yours. Keys that do not exist
are errors that name the nearest one, and every value can be overridden by its dotted key: `learning_rate=1e-4`.
"""

from __future__ import annotations

import importlib.resources
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from telegym.core.errors import ConfigurationError, did_you_mean

__all__ = ["RecipeSettings", "Settings", "parse_settings", "read_recipe", "recipe_names"]


class Settings(BaseModel):
    """A group of settings: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_Model = TypeVar("_Model", bound=BaseModel)


def parse_settings(cls: type[_Model], data: Any, source: str) -> _Model:
    """Check settings.

    Args:
        cls: The model that describes them.
        data: What the YAML holds.
        source: Where it comes from, for messages.

    Raises:
        ConfigurationError: If anything is wrong; the message lists everything.
    """
    if not isinstance(data, Mapping):
        raise ConfigurationError(f"{source}: a recipe is a mapping of settings, not a {type(data).__name__}")
    try:
        return cls.model_validate(data)
    except ValidationError as error:
        raise ConfigurationError(f"{source}: {'; '.join(_problems(cls, error))}") from None


class RecipeSettings(Settings):
    """Settings that a recipe holds."""

    @classmethod
    def parse(cls, data: Any, source: str) -> Self:
        """Check a recipe.

        Args:
            data: What the YAML holds.
            source: Where it comes from, for messages.

        Raises:
            ConfigurationError: If anything is wrong; the message lists everything.
        """
        return parse_settings(cls, data, source)


def recipe_names(package: str) -> tuple[str, ...]:
    """Return the names of the recipes shipped in a package.

    Args:
        package: The package, for example `telegym.rewards`; its recipes lie in its folder `recipes`.
    """
    folder = importlib.resources.files(package).joinpath("recipes")
    return tuple(sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml")))


def read_recipe(recipe: str | Path, package: str, overrides: Sequence[str] = ()) -> Any:
    """Read a recipe, and apply overrides; it is not checked yet.

    Args:
        recipe: A name of `recipe_names(package)`, or a YAML file.
        package: Where shipped recipes lie.
        overrides: `KEY=VALUE` with a dotted key and a YAML value, for example `grpo.learning_rate=1e-4`.

    Raises:
        ConfigurationError: If there is no such recipe, it is no YAML, or an override is malformed.
    """
    data = _yaml(_text(recipe, package), f"recipe {str(recipe)!r}")
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise ConfigurationError(f"override {override!r} is not of the form KEY=VALUE")
        if not isinstance(data, dict):
            raise ConfigurationError(f"override {override!r}: recipe {str(recipe)!r} is not a mapping of settings")
        _override(data, key.strip(), _value(value, override))
    return data


def _text(recipe: str | Path, package: str) -> str:
    names = recipe_names(package)
    if str(recipe) in names:
        return importlib.resources.files(package).joinpath("recipes", f"{recipe}.yaml").read_text("utf-8")
    path = Path(recipe)
    if not path.is_file():
        hint = did_you_mean(str(recipe), names)
        raise ConfigurationError(f"no recipe {str(recipe)!r}: neither a file nor one of {', '.join(names)}.{hint}")
    return path.read_text("utf-8")


def _yaml(text: str, source: str) -> Any:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{source}: not YAML: {' '.join(str(error).split())}") from None
    return {} if found is None else found


def _value(text: str, override: str) -> Any:
    """Read a value as YAML, and numbers such as `1e-4` as numbers, which YAML takes for text."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigurationError(f"override {override!r}: the value is not YAML") from None
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _override(data: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        inner = data.get(parent)
        if inner is None:
            inner = data[parent] = {}
        if not isinstance(inner, dict):
            raise ConfigurationError(f"override {key!r}: {parent!r} is not a group of settings")
        data = inner
    data[last] = value


# --- what is wrong -----------------------------------------------------------------------------------


def _problems(cls: type[BaseModel], error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        models, key = _place(cls, problem["loc"])
        if problem["type"] == "union_tag_invalid":
            valid = [tag for model in models for tag in _tags(model)]
            tag = str(problem["ctx"]["tag"])
            yield f"{'.'.join(key)}.kind: no {tag!r}; valid: {', '.join(valid)}.{did_you_mean(tag, valid)}"
            continue
        if problem["type"] != "extra_forbidden":
            found = "" if isinstance(problem["input"], Mapping) else f" (it is {problem['input']!r})"
            yield f"{'.'.join(key)}: {problem['msg'].removeprefix('Value error, ')}{found}"
            continue
        valid = list(dict.fromkeys(name for model in models for name in _names(model)))
        yield f"unknown key {'.'.join(key)!r}; valid here: {', '.join(valid)}.{did_you_mean(key[-1], valid)}"


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _place(cls: type[BaseModel], location: Sequence[str | int]) -> tuple[list[type[BaseModel]], list[str]]:
    """Return the group of settings that a problem lies in, and its dotted key without the tags of unions."""
    models, key = [cls], []
    for part in map(str, location):
        tagged = [model for model in models if part in _tags(model)]
        if tagged and len(models) > 1:
            models = tagged
            continue
        key.append(part)
        inside = [inner for model in models for inner in _inside(model, part)]
        models = inside or models
    return models, key or [""]


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    """Return the values of `kind` that choose this model of several."""
    field = model.model_fields.get("kind")
    return typing.get_args(field.annotation) if field is not None else ()


def _inside(model: type[BaseModel], name: str) -> list[type[BaseModel]]:
    field = model.model_fields.get(name)
    return list(_models(field.annotation)) if field is not None else []


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that an annotation names, whatever they are wrapped in."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _models(part)
