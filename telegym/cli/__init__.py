"""The command line: `telegym`, one module for each command."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    from telegym.cli.app import run

    run()
