"""Checkpoints on disk: which are complete, which are kept.

A checkpoint is a folder of many files, and a process can die between any two of them. So the last thing written into it
is a list of all its files with their sizes (`complete.json`); a folder without it, or with files other than listed, is
no checkpoint. Before that list is written, the files are flushed to the disk, so that a power cut cannot leave a
complete list of incomplete files.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from telegym.core.files import write_whole

__all__ = ["best_steps", "clear_after", "complete_checkpoints", "discard", "is_complete", "mark_complete", "prune"]

_MARK = "complete.json"
_NAME = re.compile(r"^checkpoint-(\d+)$")


def mark_complete(folder: Path) -> None:
    """Say that a checkpoint is complete: all its files are written and on the disk.

    Raises:
        OSError: If that cannot be written.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _MARK)
    for path in files:
        _flush(path)
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    write_whole(folder / _MARK, json.dumps({"files": sizes}, indent=1))


def _flush(path: Path) -> None:
    try:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = str(path)
        raise


def is_complete(folder: Path) -> bool:
    """Return whether a folder is a checkpoint that was written to its end and not touched since."""
    try:
        sizes = json.loads((folder / _MARK).read_text("utf-8"))["files"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def complete_checkpoints(folder: Path) -> dict[int, Path]:
    """Return the complete checkpoints of a folder by step, the earliest first."""
    if not folder.is_dir():
        return {}
    found = {int(match[1]): path for path in folder.iterdir() if (match := _NAME.match(path.name))}
    return {step: found[step] for step in sorted(found) if is_complete(found[step])}


def discard(folder: Path) -> None:
    """Delete a checkpoint; from the first moment on it is none."""
    (folder / _MARK).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def best_steps(scores: Mapping[int, tuple[float, ...]], count: int) -> list[int]:
    """Return the steps with the highest scores, the best first; of equal ones the later.

    Args:
        scores: What each step is ranked by: the first number, then the second and so on.
        count: How many.
    """
    return sorted(scores, key=lambda step: (scores[step], step), reverse=True)[:count]


def prune(folder: Path, last: int, best: int, scores: Mapping[int, tuple[float, ...]]) -> None:
    """Delete the complete checkpoints that are neither among the last nor among the best.

    Args:
        folder: Where checkpoints are.
        last: How many of the last ones are kept.
        best: How many of the best ones are kept.
        scores: What steps are ranked by; one that has no score is not among the best.
    """
    found = complete_checkpoints(folder)
    scored = {step: score for step, score in scores.items() if step in found}
    kept = {*list(found)[-last:], *best_steps(scored, best)}
    for step in found.keys() - kept:
        discard(found[step])


def clear_after(folder: Path, step: int) -> None:
    """Delete what is no checkpoint or comes after a step: a run that goes on from there makes it again."""
    kept = {path for at, path in complete_checkpoints(folder).items() if at <= step}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if _NAME.match(path.name) and path.is_dir() and path not in kept:
            discard(path)
