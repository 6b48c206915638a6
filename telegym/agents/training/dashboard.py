"""How a run is shown: a picture that lives where there is a terminal, a line a step where there is none."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telegym.agents.training.view import FolderView, RunView, Status, sparkline

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

__all__ = ["Bar", "Display", "dashboard", "step_line", "watch_run"]

_FIGURES: dict[str, tuple[str, str]] = {
    "reward": ("reward", "{:.3f}"),
    "episode/success": ("success", "{:.1%}"),
    "held-out": ("held-out success", "{:.1%}"),
    "loss": ("loss", "{:.4f}"),
    "entropy": ("entropy", "{:.3f}"),
    "kl": ("KL", "{:.4f}"),
    "episode/tokens": ("tokens an episode", "{:.0f}"),
    "episode/turns": ("turns an episode", "{:.1f}"),
    "episode/call_errors": ("failed calls", "{:.2f}"),
    "episode/truncated": ("cut off", "{:.1%}"),
    "episode/failures": ("without a score", "{:.1%}"),
    "rewards/failures": ("without a reward", "{:.1%}"),
    "tokens/second": ("tokens a second", "{:,.0f}"),
}
"""Names of figures, what they are called, and how they are written."""
_GUARDS = "guards/"
_TIMES = "time/"
_WINDOW = 10
_REFRESH = 2.0


class Bar:
    """Counts what is done of one phase.

    Args:
        display: Shows it.
        total: How much there is to do.
        done: How much is done already.
    """

    def __init__(self, display: Display, total: int, done: int = 0) -> None:
        self._display = display
        self.total, self.done = total, done

    def advance(self, note: Any = None, by: int = 1) -> None:
        """Count some more; a text is shown beside the bar."""
        self.done += by
        self._display.counted(self, note if isinstance(note, str) else None)


class Display:
    """Shows a run in the console of the process that trains.

    Args:
        console: Where; a terminal gets a picture, anything else lines.
        view: What is shown; it is kept up to date here.
        status: Tells those who look from outside.
        hidden: Whether to show nothing.
    """

    def __init__(self, console: Console, view: RunView, status: Status, *, hidden: bool = False) -> None:
        self._console = console
        self._view = view
        self._status = status
        self._hidden = hidden
        self._live: Live | None = None

    @contextlib.contextmanager
    def progress(self, title: str, total: int, done: int = 0) -> Iterator[Bar]:
        """Show a phase as long as the block lasts; one within another takes its place.

        Args:
            title: What is going on.
            total: How many there are to do.
            done: How many are done already.
        """
        outer = self._view.phase, self._view.done, self._view.total, self._view.note
        self._view.phase, self._view.done, self._view.total, self._view.note = title, done, total, ""
        self._status.tell(title, done, total)
        began = time.monotonic()
        try:
            with self._living():
                yield Bar(self, total, done)
            self._say(f"{title}: {self._view.done} of {total} in {_duration(time.monotonic() - began)}")
        finally:
            self._view.phase, self._view.done, self._view.total, self._view.note = outer
            if outer[0]:
                self._status.tell(outer[0], outer[1], outer[2])

    def counted(self, bar: Bar, note: str | None) -> None:
        """Show how far a phase has come."""
        self._view.done = bar.done
        self._view.note = self._view.note if note is None else note
        self._status.tell(self._view.phase, bar.done, bar.total)

    def row(self, row: dict[str, Any], total: int) -> None:
        """Show the figures of a step.

        Args:
            row: The figures.
            total: How many steps there are.
        """
        self._view.rows.append(row)
        self._say(step_line(row, total))

    def sample(self, text: str) -> None:
        """Show an episode to read."""
        self._view.sample = text

    def _say(self, line: str) -> None:
        if not self._hidden and not self._console.is_terminal:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    @contextlib.contextmanager
    def _living(self) -> Iterator[None]:
        if self._live is not None or self._hidden or not self._console.is_terminal:
            yield
            return
        from rich.live import Live

        def picture() -> RenderableType:
            return dashboard(self._view, self._console.width, self._console.height)

        self._live = Live(get_renderable=picture, console=self._console, refresh_per_second=_REFRESH, transient=True)
        try:
            with self._live:
                yield
        finally:
            self._live = None


def watch_run(folder: Path, console: Console, seconds: float = 1.0) -> None:
    """Show a run that goes on in another process, until it ends or Ctrl-C.

    Args:
        folder: The folder of the run.
        console: Where; a terminal gets a picture, anything else a line a step.
        seconds: Between two looks.

    Raises:
        ConfigurationError: If there is no such run.
    """
    followed = FolderView(folder)
    with contextlib.suppress(KeyboardInterrupt):
        _watch_live(followed, console, seconds) if console.is_terminal else _watch_lines(followed, console, seconds)


def _watch_live(followed: FolderView, console: Console, seconds: float) -> None:
    from rich.live import Live

    alive = followed.update()
    with Live(dashboard(followed.view, console.width, console.height), console=console, auto_refresh=False) as live:
        while alive:
            time.sleep(seconds)
            alive = followed.update()
            live.update(dashboard(followed.view, console.width, console.height), refresh=True)


def _watch_lines(followed: FolderView, console: Console, seconds: float) -> None:
    shown, alive = 0, True
    while alive:
        alive = followed.update()
        for row in followed.view.rows:
            if row["step"] > shown:
                shown = row["step"]
                console.print(step_line(row), markup=False, highlight=False, soft_wrap=True)
        if alive:
            time.sleep(seconds)
    console.print(f"{followed.view.name}: {followed.view.phase or 'nothing is going on'}", markup=False)


def step_line(row: dict[str, Any], total: int | None = None) -> str:
    """Return the figures of one step in a line.

    Args:
        row: The figures.
        total: How many steps there are, if that is known.
    """
    words = [f"step {row['step']}" + (f"/{total}" if total else "")]
    for name, (label, form) in _FIGURES.items():
        if isinstance(row.get(name), int | float):
            words.append(f"{label} {form.format(row[name])}")
    words += [f"{name} {row[name]:.2f}" for name in row if name.startswith(_GUARDS) and row[name]]
    seconds = row.get(f"{_TIMES}step", row.get("step_time"))
    if isinstance(seconds, int | float):
        words.append(f"{seconds:.1f} s")
    return "  ".join(words)


# --- the picture ----------------------------------------------------------------------------------------


def dashboard(view: RunView, width: int = 100, height: int = 40) -> RenderableType:
    """Return the picture of a run.

    Args:
        view: What is shown.
        width: Columns of the terminal.
        height: Lines of the terminal; the last episode gets what is left.
    """
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    figures = _figure_table(view, max(10, width // 3))
    times = _time_table(view, max(8, width // 8))
    both = Table.grid(padding=(0, 3))
    both.add_row(figures, times)
    parts: list[RenderableType] = [_head(view, width), both]
    left = height - figures.row_count - 7
    lines = [line for line in view.sample.splitlines() if line.strip()]
    if lines and left > 3:
        text = Text("\n".join(lines[: left - 2]), overflow="ellipsis", no_wrap=True)
        parts.append(Panel(text, title="last episode to read", title_align="left", height=left))
    return Group(*parts)


def _head(view: RunView, width: int) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    head = Table.grid(padding=(0, 2))
    bar = ProgressBar(total=max(1, view.total), completed=view.done, width=max(10, width // 4))
    count = f"{view.done}/{view.total}" if view.total else ""
    last = f"step {view.rows[-1]['step']}" if view.rows else ""
    words = (Text(each) for each in (count, last, view.note, _remaining(view)))
    head.add_row(Text(view.name, style="bold"), Text(view.phase, style="cyan"), bar, *words)
    return head


def _remaining(view: RunView) -> str:
    seconds = view.series(f"{_TIMES}step")[-_WINDOW:]
    if view.phase != "training" or not seconds or not view.total:
        return ""
    return f"{_duration((view.total - view.done) * sum(seconds) / len(seconds))} left"


def _figure_table(view: RunView, width: int) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("")
    for name in ("now", f"mean of {_WINDOW}"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("first step to last", no_wrap=True)
    for name, (label, form) in _shown(view).items():
        values = view.series(name)
        recent = values[-_WINDOW:]
        mean = math.fsum(recent) / len(recent)
        curve = Text(sparkline(values, width), style="green")
        table.add_row(Text(label), form.format(values[-1]), form.format(mean), curve)
    return table


def _shown(view: RunView) -> dict[str, tuple[str, str]]:
    """Return the figures that the run has, guard hits included."""
    guards = dict.fromkeys(name for row in view.rows for name in row if name.startswith(_GUARDS))
    figures = {**_FIGURES, **{name: (f"guard hits, {name.removeprefix(_GUARDS)}", "{:.1%}") for name in guards}}
    return {name: how for name, how in figures.items() if view.series(name)}


def _time_table(view: RunView, width: int) -> Any:
    from rich.table import Table
    from rich.text import Text

    names = dict.fromkeys(name for row in view.rows[-1:] for name in row if name.startswith(_TIMES))
    means = {name.removeprefix(_TIMES): _recent(view.series(name)) for name in names}
    total = means.pop("step", 0.0)
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for name in ("time of a step", "seconds", "share"):
        table.add_column(name, justify="right" if name == "seconds" else "left", no_wrap=True)
    for name, seconds in means.items():
        bar = "█" * round(width * seconds / total) if total else ""
        table.add_row(Text(name), f"{seconds:.2f}", Text(bar, style="blue"))
    if total:
        table.add_row("all", f"{total:.2f}", "")
    return table


def _recent(values: Sequence[float]) -> float:
    recent = values[-_WINDOW:]
    return math.fsum(recent) / len(recent) if recent else 0.0


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
