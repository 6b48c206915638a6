"""Episodes of an environment that has an oracle: calls, steps, resets and forks.

The workload is what agents do: the oracle's way through tasks of every family, with reading calls and refused calls
between, each written as a model writes it (`<tool_call>` with JSON) and answered as text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from time import process_time
from typing import Any, NamedTuple

from telegym.bench.rates import Job, Sample
from telegym.core.environment import Environment
from telegym.core.episode import Episode, Limits
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message
from telegym.core.task import Task

__all__ = ["Script", "jobs", "workload"]

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


def jobs(environment: Environment) -> tuple[dict[str, Job], dict[str, Any]]:
    """Return what is measured, and facts about the workload.

    Raises:
        ConfigurationError: If the environment has no oracle whose way could be followed.
    """
    scripts = workload(environment)
    calls = sum(script.calls for script in scripts)
    if not calls:
        raise ConfigurationError(f"{environment.id} has no oracle, so there is nothing to measure")
    found = {
        "calls through Episode.step, recording": _playing(environment, scripts, record=True),
        "calls through Episode.step, not recording": _playing(environment, scripts, record=False),
        "env.step": _stepping(environment, scripts),
        "env.reset": _resetting(environment, scripts),
        "fork": _forking(environment, scripts),
    }
    return {name: Job(run) for name, run in found.items()}, {"tasks": len(scripts), "calls": calls}


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


def _playing(environment: Environment, scripts: Sequence[Script], *, record: bool) -> Callable[[], Sample]:
    def job() -> Sample:
        calls, start = 0, process_time()
        for script in scripts:
            episode = Episode(environment, script.task, limits=_NO_LIMITS, record=record)
            for text in script.texts:
                for message in episode.step(text):
                    assert message.content
            calls += len(episode.calls)
        return Sample(calls, process_time() - start)

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
        return Sample(steps, seconds)

    return job


def _resetting(environment: Environment, scripts: Sequence[Script]) -> Callable[[], Sample]:
    from telegym.envs.gym import TelegymEnv

    env = TelegymEnv(environment)

    def job() -> Sample:
        start = process_time()
        for script in scripts:
            env.reset(options={"task_id": script.task.id})
        return Sample(len(scripts), process_time() - start)

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
        return Sample(len(episodes), process_time() - start)

    return job
