"""How fast the simulator is: calls, steps, resets and forks per second, on one core.

The workload is what agents do: the oracle's way through tasks of every family, with reading calls and refused calls
between, each written as a model writes it (`<tool_call>` with JSON) and answered as text. Every rate is the median of
several measurements after a warm-up, per second of processor time, so that a busy machine does not blur it.
"""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from time import process_time
from typing import Any, NamedTuple

from telegym.core.environment import Environment
from telegym.core.episode import Episode, Limits
from telegym.core.messages import Message
from telegym.core.task import Task

__all__ = ["Script", "measure", "workload"]

ENVIRONMENT = "tau2-telecom"
_TASKS = 40
_LONGEST = 60
_NO_LIMITS = Limits(hops=None, errors=None)


class Script(NamedTuple):
    """What is played of one task."""

    task: Task
    """The task."""
    texts: tuple[str, ...]
    """The agent's messages; none ends the episode."""
    calls: int
    """Tool calls they contain."""


def measure(*, seconds: float = 1.0, repeats: int = 5, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Measure every rate.

    Args:
        seconds: Length of one measurement.
        repeats: How many measurements the median is of.
        options: Options of the environment.

    Returns:
        `rates`: for each thing counted, the `median`, `lowest` and `highest` rate per second; and what was measured.
    """
    from telegym.envs.registry import make_environment

    environment = make_environment(ENVIRONMENT, **(options or {}))
    scripts = workload(environment)
    jobs: dict[str, Callable[[], Sample]] = {
        "calls through Episode.step, recording": _playing(environment, scripts, record=True),
        "calls through Episode.step, not recording": _playing(environment, scripts, record=False),
        "env.step": _stepping(environment, scripts),
        "env.reset": _resetting(environment, scripts),
        "fork": _forking(environment, scripts),
    }
    return {
        "environment": ENVIRONMENT,
        "options": dict(options or {}),
        "tasks": len(scripts),
        "calls": sum(script.calls for script in scripts),
        "seconds": seconds,
        "repeats": repeats,
        "python": platform.python_version(),
        "rates": {name: _rate(job, seconds, repeats) for name, job in jobs.items()},
    }


def workload(environment: Environment, tasks: int = _TASKS) -> list[Script]:
    """Return scripts for tasks spread over the environment's task set."""
    stride = max(1, len(environment.tasks) // tasks)
    return [
        _script(environment, environment.tasks[index * stride]) for index in range(min(tasks, len(environment.tasks)))
    ]


def _script(environment: Environment, task: Task) -> Script:
    """Follow the oracle, with reading calls after each of its steps and a wrong one in every eight."""
    episode = Episode(environment, task, limits=_NO_LIMITS)
    reads = cycle(_reading_calls(episode))
    wrong = cycle([_as_text("no_such_tool", {}), _as_text("get_customer_by_id", {"customer": "C1"})])
    texts: list[str] = []
    while len(texts) < _LONGEST:
        hint = environment.hint(episode)
        if hint is None or not hint.tool_calls or _ends(episode, hint):
            break
        for call in hint.tool_calls:
            texts += [_as_text(call.name, call.arguments), next(reads), next(reads), next(reads)]
            texts += [next(wrong)] if len(texts) % 8 < 4 else []
        episode.step(hint)
    return Script(task, tuple(texts), len(texts))


def _ends(episode: Episode, message: Message) -> bool:
    tools = (episode.toolkit.get(call.name) for call in message.tool_calls)
    return any(tool is not None and tool.kind == "control" for tool in tools)


def _reading_calls(episode: Episode) -> list[str]:
    """Return calls of the reading tools that need no arguments."""
    tools = [tool for tool in episode.toolkit.tools("assistant") if tool.kind == "read"]
    return [_as_text(tool.name, {}) for tool in tools if not tool.parameters.get("required")]


def _as_text(name: str, arguments: Mapping[str, Any]) -> str:
    body = json.dumps({"name": name, "arguments": arguments})
    return f"<tool_call>\n{body}\n</tool_call>"


Sample = tuple[int, float]
"""How many things were done in how many seconds of processor time."""


def _playing(environment: Environment, scripts: Sequence[Script], *, record: bool) -> Callable[[], Sample]:
    def job() -> Sample:
        calls, start = 0, process_time()
        for script in scripts:
            episode = Episode(environment, script.task, limits=_NO_LIMITS, record=record)
            for text in script.texts:
                for message in episode.step(text):
                    assert message.content
            calls += len(episode.calls)
        return calls, process_time() - start

    return job


def _stepping(environment: Environment, scripts: Sequence[Script]) -> Callable[[], Sample]:
    from telegym.envs.gym import TelegymEnv

    env = TelegymEnv(environment, limits=_NO_LIMITS)

    def job() -> Sample:
        steps, seconds = 0, 0.0
        for script in scripts:
            env.reset(seed=0, options={"task_id": script.task.id})
            start = process_time()
            for text in script.texts:
                env.step(text)
            seconds += process_time() - start
            steps += len(script.texts)
        return steps, seconds

    return job


def _resetting(environment: Environment, scripts: Sequence[Script]) -> Callable[[], Sample]:
    from telegym.envs.gym import TelegymEnv

    env = TelegymEnv(environment)

    def job() -> Sample:
        start = process_time()
        for script in scripts:
            env.reset(options={"task_id": script.task.id})
        return len(scripts), process_time() - start

    return job


def _forking(environment: Environment, scripts: Sequence[Script]) -> Callable[[], Sample]:
    episodes = [Episode(environment, script.task, limits=_NO_LIMITS) for script in scripts]
    for episode, script in zip(episodes, scripts, strict=True):
        for text in script.texts[: len(script.texts) // 2]:
            episode.step(text)

    def job() -> Sample:
        start = process_time()
        for episode in episodes:
            episode.fork()
        return len(episodes), process_time() - start

    return job


def _rate(job: Callable[[], Sample], seconds: float, repeats: int) -> dict[str, float]:
    """Return how much the job does per second."""
    job()
    rates = [_once(job, seconds) for _ in range(repeats)]
    return {"median": statistics.median(rates), "lowest": min(rates), "highest": max(rates)}


def _once(job: Callable[[], Sample], seconds: float) -> float:
    count, used = 0, 0.0
    while used < seconds:
        more, time = job()
        count, used = count + more, used + time
    return count / used
