"""Running the sync of the world's two sides after every successful tool call."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

__all__ = ["synced"]


def synced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the tool function followed by the world's sync; it costs nothing where nothing changed."""

    @wraps(function)
    def with_arguments(world: Any, **arguments: Any) -> Any:
        result = function(world, **arguments)
        if not world.state.synced:
            world.sync()
        return result

    @wraps(function)
    def alone(world: Any) -> Any:
        result = function(world)
        if not world.state.synced:
            world.sync()
        return result

    return with_arguments if len(inspect.signature(function).parameters) > 1 else alone
