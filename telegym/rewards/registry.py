"""Rewards by kind, imported only when asked for."""

from __future__ import annotations

import inspect
import typing
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from telegym.core.entry_points import load_entry_point, register_entry_point
from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.settings import parse_settings
from telegym.rewards.base import Reward

__all__ = ["make_reward", "register_reward", "reward_class", "reward_kinds", "reward_settings"]

_ENTRY_POINTS: dict[str, str] = {
    "outcome": "telegym.rewards.outcome:EnvironmentOutcome",
    "format": "telegym.rewards.format:Format",
    "choice": "telegym.rewards.answer.choice:ChoiceReward",
    "numeric": "telegym.rewards.answer.numeric:NumericReward",
    "text": "telegym.rewards.answer.text:TextReward",
    "guards": "telegym.rewards.guards:Guards",
    "probability": "telegym.rewards.probability:ReferenceProbability",
    "confidence": "telegym.rewards.confidence:Confidence",
    "consistency": "telegym.rewards.consistency:Consistency",
    "rubric": "telegym.rewards.rubrics:RubricReward",
    "reasonableness": "telegym.rewards.reasonableness:Reasonableness",
    "fallible-judge": "telegym.rewards.fallible:FallibleJudge",
    "judge": "telegym.agents.judging:ModelJudge",
    "judged-text": "telegym.agents.judging:JudgedText",
}


def register_reward(kind: str, entry_point: str) -> None:
    """Register a reward class under a name.

    Args:
        kind: The name, for example `politeness`.
        entry_point: `module:class` of a subclass of `Reward`; imported when first made.

    Raises:
        ConfigurationError: If the name is taken by another class or the entry point is not `module:class`.
    """
    register_entry_point(_ENTRY_POINTS, "reward", kind, entry_point)


def reward_kinds() -> tuple[str, ...]:
    """Return the registered names."""
    return tuple(_ENTRY_POINTS)


def reward_class(kind: str) -> type[Reward]:
    """Return the class registered under a name, or named itself.

    Args:
        kind: A registered name, or `module:class`.

    Raises:
        ConfigurationError: If there is none, or it cannot be imported; the message lists the valid names.
    """
    entry_point = _ENTRY_POINTS.get(kind, kind)
    if entry_point.count(":") != 1:
        hint = did_you_mean(kind, _ENTRY_POINTS)
        raise ConfigurationError(f"no reward of kind {kind!r}; valid: {', '.join(_ENTRY_POINTS)}, module:class.{hint}")
    try:
        found = load_entry_point(entry_point)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"reward {kind!r}, {entry_point}, cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Reward)):
        raise ConfigurationError(f"reward {kind!r}: {entry_point} is no subclass of Reward")
    return found


def reward_settings(kind: str) -> dict[str, inspect.Parameter]:
    """Return what a reward can be told, by name, as its constructor declares it."""
    return dict(inspect.signature(reward_class(kind)).parameters)


def make_reward(kind: str, **settings: Any) -> Reward:
    """Build a reward by name.

    Args:
        kind: A registered name, or `module:class`.
        **settings: Passed to the class, after they were checked and converted to the types that the constructor
            declares. An unknown one is an error that names the nearest valid one.

    Raises:
        ConfigurationError: If the name or a setting is unknown, a setting is missing, or a value does not fit.
    """
    cls = reward_class(kind)
    model, names = _model(cls)
    checked = parse_settings(model, settings, f"reward {kind!r}")
    return cls(**{name: getattr(checked, field) for name, field in names.items() if name in settings})


def _model(cls: type[Reward]) -> tuple[type[BaseModel], dict[str, str]]:
    """Return a model of what a constructor takes, and its fields by parameter.

    Fields have names of their own, for a parameter may be called `copy` or `json` as methods of models are.
    """
    parameters = inspect.signature(cls).parameters
    hints = typing.get_type_hints(cls.__init__, include_extras=True)
    fields: dict[str, Any] = {}
    for number, (name, parameter) in enumerate(parameters.items()):
        given = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[f"setting_{number}"] = (hints.get(name, Any), Field(given, alias=name))
    config = ConfigDict(arbitrary_types_allowed=True, extra="forbid", protected_namespaces=())
    model = create_model("Settings", __config__=config, **fields)
    return model, {name: field for field, name in zip(fields, parameters, strict=True)}
