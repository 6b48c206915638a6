"""A process that imports everything once, and then does trainings in forks of itself, which tests may kill.

It reads one job a line (JSON: recipe, name, runs, resume, fault), and answers with the number of the fork and with its
exit code. The message of its error is in a file.
"""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

import telegym.agents.training.grpo
import telegym.agents.training.pipeline
from telegym.agents.training import keeping
from telegym.agents.training.run import RunFolder, train
from telegym.core.score import Failure, Score
from telegym.envs.registry import register_environment
from tests.agents.training.toy import ToyEnvironment

USED = (telegym.agents.training.grpo, telegym.agents.training.pipeline)


def main() -> None:
    """Do jobs until there are no more."""
    register_environment("toy-units", "tests.agents.training.toy:ToyEnvironment")
    torch.set_num_threads(1)
    for line in sys.stdin:
        fork = os.fork()
        if fork == 0:
            os._exit(_work(json.loads(line)))
        _say(fork)
        _, status = os.waitpid(fork, 0)
        _say(os.waitstatus_to_exitcode(status))


def _say(value: Any) -> None:
    sys.stdout.write(f"{json.dumps(value)}\n")
    sys.stdout.flush()


def _work(job: dict[str, Any]) -> int:
    name, _, number = job["fault"].partition(":")
    if name:
        FAULTS[name](int(number))
    console = Console(file=io.StringIO(), width=120)
    try:
        result = train(job["recipe"], name=job["name"], runs=job["runs"], resume=job["resume"], console=console)
    except BaseException as error:
        notes = getattr(error, "__notes__", [])
        Path(job["runs"], "error.txt").write_text("\n".join([f"{type(error).__name__}: {error}", *notes]), "utf-8")
        return 3
    return 130 if result.interrupted else 0


# --- what may go wrong ----------------------------------------------------------------------------------


def _after(calls: int, then: Callable[..., Any], method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that does something else from its n-th call on."""
    count = itertools.count(1)
    return lambda *arguments: then(*arguments) if next(count) >= calls else method(*arguments)


def _kill(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _silent(*_: Any) -> Score:
    return Score(failure=Failure(party="judge", message="http://judge:8000 does not answer"))


def _broken(*_: Any) -> None:
    raise RuntimeError("the simulator fell over")


def _flush(then: Callable[..., Any]) -> Callable[[int], None]:
    def fault(calls: int) -> None:
        os.fsync = _after(calls, then, os.fsync)

    return fault


def _counted(owner: type, method: str) -> Callable[[], int]:
    """Return what says how often a method has been called."""
    usual, calls = getattr(owner, method), itertools.count()
    made = [next(calls)]

    def counted(*given: Any) -> Any:
        made[0] = next(calls)
        return usual(*given)

    setattr(owner, method, counted)
    return lambda: made[0]


def _once_logged(owner: type, method: str, then: Callable[..., Any]) -> Callable[[int], None]:
    """Return a fault that begins after a number of steps."""

    def fault(steps: int) -> None:
        usual = getattr(owner, method)
        done = _counted(RunFolder, "log")
        setattr(owner, method, lambda *given: then(*given) if done() >= steps else usual(*given))

    return fault


def _patch(owner: Any, method: str, then: Callable[..., Any]) -> Callable[[int], None]:
    return lambda calls: setattr(owner, method, _after(calls, then, getattr(owner, method)))


FAULTS: dict[str, Callable[[int], None]] = {
    "killed-before-the-mark": _patch(keeping, "mark_complete", _kill),
    "killed-while-flushing": _flush(_kill),
    "full-while-flushing": _flush(_full),
    "full-metrics": _patch(RunFolder, "log", _full),
    "largest-file": lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    "silent-judge": _once_logged(ToyEnvironment, "score", _silent),
    "broken-world": _once_logged(ToyEnvironment, "build_world", _broken),
}

if __name__ == "__main__":
    main()
