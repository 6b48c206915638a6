"""How a run is shown in a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Bar", "progress_bar"]


class Bar:
    """One progress bar."""

    def __init__(self, progress: Progress, task: Any) -> None:
        self._progress, self._task = progress, task

    def advance(self, note: Any = None, by: int = 1) -> None:
        """Count some more; a text is shown beside the bar."""
        self._progress.update(self._task, advance=by)
        if isinstance(note, str):
            self._progress.update(self._task, note=note)


@contextlib.contextmanager
def progress_bar(console: Console, title: str, total: int, done: int = 0, *, hidden: bool = False) -> Iterator[Bar]:
    """Show a bar as long as the block lasts.

    Args:
        console: Where.
        title: What is going on.
        total: How many there are to do.
        done: How many are done already.
        hidden: Whether to show nothing.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=hidden) as progress:
        task = progress.add_task(title, total=total, completed=done, note="")
        yield Bar(progress, task)
