"""What to say where a library of the extra `answers` is missing."""

from __future__ import annotations

from telegym.core.errors import ConfigurationError

__all__ = ["needs_extra"]


def needs_extra(library: str, purpose: str) -> ConfigurationError:
    """Return the error that says which extra brings a library."""
    return ConfigurationError(f"{purpose} need {library}, which is not installed: pip install 'telegym[answers]'")
