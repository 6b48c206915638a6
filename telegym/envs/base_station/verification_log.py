"""A log of what was found out about tasks, so that a long verification can be stopped and taken up again.

JSON Lines: the first line says what is verified, every other one tells of one task.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from telegym.core.errors import ConfigurationError

__all__ = ["VerificationLog"]


class VerificationLog:
    """A log that is being written; use it in a `with` statement.

    Args:
        path: The file; made if it is not there. A last line that was not written to its end is taken away.
        verified: What is verified. A log of something else is refused.

    Raises:
        ConfigurationError: If the file is the log of something else, or no log.
    """

    def __init__(self, path: Path, verified: Mapping[str, Any]) -> None:
        self.path = path
        self.known: dict[int, Any] = {}
        """What is on record, by the position of the task."""
        head = json.dumps(dict(verified), sort_keys=True)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        lines = whole.splitlines()
        if text and (not lines or lines[0] != head):
            raise ConfigurationError(f"{path} is no log of {head}; name another file. It begins with {text[:200]!r}")
        for line in lines[1:]:
            entry = json.loads(line)
            self.known[entry["index"]] = entry["found"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(whole or f"{head}\n", encoding="utf-8")
        self._file: TextIO = path.open("a", encoding="utf-8")

    def add(self, index: int, found: Any) -> None:
        """Write down what was found out about the task at a position."""
        self._file.write(json.dumps({"index": index, "found": found}) + "\n")
        self._file.flush()

    def __enter__(self) -> VerificationLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
