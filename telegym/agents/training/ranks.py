"""Several processes that train one policy: one decides for all, figures are joined, and if one fails all end.

Whatever is called here, every process has to call, and in the same order: it waits for the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from telegym.core.errors import InfrastructureError

__all__ = [
    "any_of",
    "decided",
    "joint_means",
    "process_count",
    "process_index",
    "reported",
    "restorable",
    "together",
]

T = TypeVar("T")


def process_count() -> int:
    """Return how many processes train together, as the launcher says; without a launcher, 1."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def process_index() -> int:
    """Return the number of this process among them, from 0."""
    return int(os.environ.get("RANK", "0"))


def decided(decide: Callable[[], T]) -> T:
    """Return what the first process decides; what it raises, every process raises.

    Args:
        decide: Called in the first process only. Its result must be picklable.
    """
    if process_count() == 1:
        return decide()
    from accelerate.utils import broadcast_object_list

    _join()
    answer: list[Any] = [None, None]
    if process_index() == 0:
        try:
            answer[0] = decide()
        except Exception as error:
            answer[1] = error
    broadcast_object_list(answer, from_process=0)
    if answer[1] is not None:
        raise answer[1]
    return answer[0]  # type: ignore[no-any-return]


def any_of(flag: bool) -> bool:
    """Return whether the flag is set in any process."""
    return any(_gathered(flag))


@contextmanager
def together(what: str) -> Iterator[None]:
    """Do something that each process does for itself; if it fails in one, it fails in all.

    Without this, the others would wait for a process that has gone. Nothing within may wait for other processes.

    Args:
        what: What is done, for the message: "while …".

    Raises:
        InfrastructureError: In the processes that did not fail themselves; it says which did, and why.
    """
    if process_count() == 1:
        yield
        return
    failure: Exception | None = None
    try:
        yield
    except Exception as error:
        failure = error
    reasons = _gathered(None if failure is None else f"{type(failure).__name__}: {failure}")
    if failure is not None:
        raise failure
    for process, reason in enumerate(reasons):
        if reason is not None:
            raise InfrastructureError(f"process {process} of {len(reasons)} failed while {what}: {reason}")


def joint_means(figures: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the mean of each figure over the values of all processes, sorted by name.

    Args:
        figures: Values by name; processes may have different names, and different numbers of values.
    """
    totals: dict[str, list[float]] = {}
    for part in _gathered({name: (float(sum(values)), len(values)) for name, values in figures.items()}):
        for name, (total, count) in part.items():
            before = totals.setdefault(name, [0.0, 0])
            totals[name] = [before[0] + total, before[1] + count]
    return {name: total / count for name, (total, count) in sorted(totals.items()) if count}


@contextmanager
def reported() -> Iterator[None]:
    """Tell the launcher why this process failed, so that it names the reason before it ends the others."""
    try:
        yield
    except Exception as error:
        if process_count() > 1:
            from torch.distributed.elastic.multiprocessing.errors import get_error_handler

            get_error_handler().record_exception(error)
        raise


def restorable(arguments: Any) -> None:
    """Let a trainer in several processes on a CPU be continued.

    accelerate calls its device `cpu:0`, a name under which torch writes tensors but does not read them.

    Args:
        arguments: The `TrainingArguments` of the trainer.
    """
    import torch

    if arguments.device.type == "cpu":
        arguments.__dict__["_setup_devices"] = torch.device("cpu")


def _gathered(value: T) -> list[T]:
    """Return the values of all processes, in their order."""
    if process_count() == 1:
        return [value]
    from accelerate.utils import gather_object

    _join()
    found: list[T] = gather_object([value])
    return found


def _join() -> None:
    """Meet the other processes, if that has not happened yet."""
    import torch
    from accelerate import PartialState

    if not torch.distributed.is_initialized():
        PartialState._reset_state()
        PartialState(cpu=not torch.cuda.is_available())
