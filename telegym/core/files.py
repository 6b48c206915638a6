"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: str | Path, text: str, *, flush: bool = True) -> None:
    """Write a file so that whoever reads it, even after the process or the machine died, finds the old or the new text.

    Args:
        path: The file; its folder exists.
        text: What it is to hold, written as UTF-8.
        flush: Whether to wait until it is on the disk; without, only the death of the process is provided for.

    Raises:
        OSError: If it cannot be written, for example on a full disk; what was there before is still there.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if flush:
                os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(target)
        raise
