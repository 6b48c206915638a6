"""A run as somebody sees it who looks over its shoulder: its phase, its figures, the last episode to read.

The process that trains says in `progress.json` what it is doing; everything else is in the run's own files. So a run is
seen from anywhere its folder can be read.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from telegym.core.errors import ConfigurationError
from telegym.core.files import write_whole

__all__ = ["FolderView", "RunView", "Status", "sparkline", "status_of"]

_STATUS = "progress.json"
_BARS = "▁▂▃▄▅▆▇█"
_SECONDS = 1.0
_SILENCE = 600.0


@dataclass(slots=True)
class RunView:
    """What is shown of a run."""

    name: str
    """Its name."""
    phase: str = ""
    """What it is doing: `training`, an evaluation, or how it ended."""
    done: int = 0
    """How much of the phase is done."""
    total: int = 0
    """How much there is to do in the phase; 0 if that is not known."""
    note: str = ""
    """A word on the last thing done."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """The steps, as logged."""
    sample: str = ""
    """The last episode to read."""

    def series(self, name: str) -> list[float]:
        """Return the values of a figure, step by step."""
        return [float(row[name]) for row in self.rows if isinstance(row.get(name), int | float)]


class Status:
    """Says in a run's folder what it is doing, at most once a second.

    Args:
        folder: The folder of the run.
        writes: Whether this process is the one that says it.
    """

    def __init__(self, folder: Path, writes: bool = True) -> None:
        self._path = folder / _STATUS
        self._writes = writes
        self._last = ("", 0.0)

    def tell(self, phase: str, done: int = 0, total: int = 0, *, over: bool = False) -> None:
        """Say what is going on.

        Args:
            phase: In a word or two.
            done: How much of it is done.
            total: How much there is to do.
            over: Whether the run has ended.
        """
        now = time.time()
        last, at = self._last
        if not self._writes or (last == phase and now - at < _SECONDS and not over and done < total):
            return
        self._last = phase, now
        life = {"process": os.getpid(), "host": socket.gethostname(), "time": now}
        with contextlib.suppress(OSError):  # a full disk is heard of where it matters
            said = {"phase": phase, "done": done, "total": total, "over": over, **life}
            write_whole(self._path, json.dumps(said), flush=False)


def status_of(folder: Path) -> dict[str, Any]:
    """Return what a run last said of itself, or nothing."""
    try:
        found = json.loads((folder / _STATUS).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


class FolderView:
    """Follows a run by its files.

    Args:
        folder: The folder of the run.

    Raises:
        ConfigurationError: If it is none.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "config.yaml").is_file():
            near = sorted(each.parent.name for each in folder.parent.glob("*/config.yaml"))
            raise ConfigurationError(
                f"no run {folder.name!r} in {folder.parent}; there are: {', '.join(near) or 'none'}"
            )
        self.view = RunView(folder.resolve().name)
        self._folder = folder
        self._read = 0
        self._half = ""

    def update(self) -> bool:
        """Read what is new; return whether the run goes on, as far as can be seen."""
        for row in self._new_rows():
            self.view.rows = [each for each in self.view.rows if each["step"] < row["step"]] + [row]
        status = status_of(self._folder)
        self.view.phase = status.get("phase", "")
        self.view.done, self.view.total = int(status.get("done", 0)), int(status.get("total", 0))
        samples = sorted(self._folder.glob("samples/step-*.md"))
        if samples:
            self.view.sample = samples[-1].read_text("utf-8", "replace")
        return self._alive(status)

    def _alive(self, status: Mapping[str, Any]) -> bool:
        if not status or status.get("over"):
            return False
        here = status.get("host") == socket.gethostname()
        alive = _exists(int(status.get("process", 0))) if here else time.time() - status.get("time", 0.0) < _SILENCE
        if not alive:
            self.view.phase = f"{self.view.phase}: its process is gone; continue with --resume"
        return alive

    def _new_rows(self) -> Iterator[dict[str, Any]]:
        path = self._folder / "metrics.jsonl"
        if not path.is_file():
            return
        if path.stat().st_size < self._read:  # the run was continued from an earlier step
            self._read, self._half, self.view.rows = 0, "", []
        with path.open(encoding="utf-8", errors="replace") as file:
            file.seek(self._read)
            text = self._half + file.read()
            self._read = file.tell()
        *lines, self._half = text.split("\n")
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                row = json.loads(line)
                yield {**row, "step": int(row["step"])}


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return process > 0


def sparkline(values: Sequence[float], width: int) -> str:
    """Return a curve of one line: means of equal stretches, from the least to the greatest.

    Args:
        values: The values in order.
        width: The most characters.
    """
    if not values or width < 1:
        return ""
    count = min(width, len(values))
    edges = [round(index * len(values) / count) for index in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    least, greatest = min(means), max(means)
    if greatest == least:
        return _BARS[3] * count
    return "".join(_BARS[round((mean - least) / (greatest - least) * (len(_BARS) - 1))] for mean in means)
