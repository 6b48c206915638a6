"""What went wrong while a run was going on, in words that say who has to do what."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path

from telegym.core.errors import InfrastructureError, TeleGymError
from telegym.core.score import Score

__all__ = ["explain", "require_scores"]

_FULL = (errno.ENOSPC, errno.EDQUOT)
_SAID_OF_FULL = ("No space left on device", "Disk quota exceeded", "(os error 28)")
_SAID_OF_TORCH = ("PytorchStreamWriter failed writing", "inline_container.cc")
_SERVER_MODULES = ("requests.", "httpx.", "urllib3.", "openai.", "vllm.")


def explain(error: Exception, folder: Path) -> InfrastructureError | None:
    """Return a failure of a disk, a server or a process as one that says what to do; None for any other.

    Args:
        error: What ended the run; what it came from is looked at too.
        folder: The folder of the run.
    """
    for each in _origins(error):
        text = _disk(each, folder) or _process(each) or _memory(each) or _server(each)
        if text is not None:
            return InfrastructureError(text)
    return None


def require_scores(scores: Sequence[Score]) -> None:
    """Refuse a step in which nothing has a score because a judge or the infrastructure failed every time.

    There is nothing to learn from such a step, and most likely not from the next one either.

    Args:
        scores: The scores of all rollouts of the step.

    Raises:
        InfrastructureError: If all of them are failures that no task is to blame for; it tells the first one.
    """
    failures = [score.failure for score in scores if score.failure is not None and score.failure.party != "task"]
    if failures and len(failures) == len(scores):
        first = failures[0]
        raise InfrastructureError(
            f"no rollout of a step has a reward, for the {first.party} failed {len(scores)} times: {first.message}"
        )


def _origins(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came from, without going round in circles."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__


def _disk(error: BaseException, folder: Path) -> str | None:
    text = str(error)
    number = error.errno if isinstance(error, OSError) else None
    where = (isinstance(error, OSError) and error.filename) or folder
    if number in _FULL or any(said in text for said in _SAID_OF_FULL):
        return f"cannot write {where}: the disk is full ({_free(folder)} left). Make room"
    if number == errno.EFBIG:
        return f"cannot write {where}: files may not become so large here. Raise the limit (`ulimit -f`)"
    if number in (errno.EROFS, errno.EACCES, errno.EIO, errno.ESTALE):
        return f"cannot read or write {where}: {text}. Give the run its folder back"
    if any(said in text for said in _SAID_OF_TORCH):
        first = text.splitlines()[0]
        return (
            f"cannot write a checkpoint into {folder}: {first} ({_free(folder)} left). Make room, or raise `ulimit -f`"
        )
    return None


def _free(folder: Path) -> str:
    try:
        return f"{shutil.disk_usage(folder).free / 1e9:.1f} GB"
    except OSError:
        return "unknown space"


def _process(error: BaseException) -> str | None:
    if not isinstance(error, BrokenExecutor):
        return None
    return (
        f"a process that plays episodes ended by itself ({error}): it was killed, often for want of memory, or "
        "crashed. Give it fewer processes or more memory"
    )


def _memory(error: BaseException) -> str | None:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        what = str(error).splitlines()[0] if str(error) else "no more memory"
        return f"out of memory: {what}. Free memory, or run the recipe anew with smaller batches (`grpo.batch_size`)"
    return None


def _server(error: BaseException) -> str | None:
    if isinstance(error, TeleGymError):
        return None
    module = f"{type(error).__module__}."
    if isinstance(error, ConnectionError | TimeoutError) or module.startswith(_SERVER_MODULES):
        return f"a server does not answer: {type(error).__name__}: {error}. Start it again"
    return None
