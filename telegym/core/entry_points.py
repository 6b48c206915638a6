"""Names for what is imported only when it is asked for: `module:name`."""

from __future__ import annotations

import importlib
from typing import Any

from telegym.core.errors import ConfigurationError

__all__ = ["load_entry_point", "register_entry_point"]


def register_entry_point(known: dict[str, str], what: str, name: str, entry_point: str, form: str = "class") -> None:
    """Note where something is found.

    Args:
        known: The entry points known so far, by name.
        what: What they are, for messages: `reward`, for example.
        name: The name.
        entry_point: Where it is: `module:class`.
        form: What stands behind the colon, for messages.

    Raises:
        ConfigurationError: If the name is taken by another entry point, or the entry point is none.
    """
    if entry_point.count(":") != 1:
        raise ConfigurationError(f"entry point {entry_point!r} of {what} {name!r} is not of the form module:{form}")
    if known.setdefault(name, entry_point) != entry_point:
        raise ConfigurationError(f"{what} {name!r} is already {known[name]}")


def load_entry_point(entry_point: str) -> Any:
    """Return what an entry point names.

    Args:
        entry_point: `module:name`.

    Raises:
        ImportError: If there is no such module.
        AttributeError: If the module has no such name.
        ValueError: If no module is named.
    """
    module, _, name = entry_point.partition(":")
    return getattr(importlib.import_module(module), name)
