"""Tasks as rows of data that verl reads, and from rows back to episodes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from telegym.agents.prompting import PromptProfile, opening_messages
from telegym.core.environment import Environment
from telegym.core.episode import Episode, Limits
from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.task import Task
from telegym.envs.registry import make_environment

__all__ = ["AGENT_NAME", "episode_of", "task_rows", "write_tasks"]

AGENT_NAME = "telegym"
"""The name under which verl knows the agent loop."""


def task_rows(
    environment: str, options: Mapping[str, Any] | None = None, *, count: int | None = None, seed: int = 0
) -> list[dict[str, Any]]:
    """Return the tasks of an environment as rows for verl.

    All rollouts of a row play the same task with the same seed, so they begin in the same world.

    Args:
        environment: A registered environment.
        options: Its options.
        count: How many rows, taken at random and again from the start when all have been taken; None takes each task
            once, in order.
        seed: Decides which, and the seeds of the episodes.

    Raises:
        ConfigurationError: If the environment or an option is unknown, or there is no task.
    """
    chosen = dict(options or {})
    made = make_environment(environment, **chosen)
    if not len(made.tasks):
        raise ConfigurationError(f"environment {environment!r} has no task with the options {chosen}")
    rng = Random(f"{seed}/verl")
    places: Sequence[int] = range(len(made.tasks))
    if count is not None:
        order = rng.sample(places, min(count, len(places)))
        places = [order[index % len(order)] for index in range(count)]
    text = json.dumps(chosen, sort_keys=True)
    return [_row(made, environment, text, made.tasks[place], index, rng) for index, place in enumerate(places)]


def _row(made: Environment, environment: str, options: str, task: Task, index: int, rng: Random) -> dict[str, Any]:
    seed = rng.getrandbits(31)
    opening = opening_messages(Episode(made, task, seed, record=False), PromptProfile())
    return {
        "data_source": f"telegym/{environment}",
        "agent_name": AGENT_NAME,
        "prompt": [{"role": message["role"], "content": message["content"] or ""} for message in opening],
        "ability": "telecom",
        "reward_model": {"style": "rule", "ground_truth": task.id},
        "extra_info": {
            "index": index,
            "environment": environment,
            "options": options,
            "task": task.id,
            "seed": seed,
        },
    }


def write_tasks(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as Parquet (by its ending) or JSON Lines.

    Raises:
        ConfigurationError: If the ending is neither `.parquet` nor `.jsonl`.
    """
    target = Path(path)
    if target.suffix == ".jsonl":
        target.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    elif target.suffix == ".parquet":
        from datasets import Dataset

        Dataset.from_list([dict(row) for row in rows]).to_parquet(str(target))
    else:
        raise ConfigurationError(f"tasks are written as .parquet or .jsonl, not as {target.name!r}")


def episode_of(extra_info: Mapping[str, Any], limits: Mapping[str, float | None] | None = None) -> Episode:
    """Return a fresh episode of a row.

    Args:
        extra_info: What the row says.
        limits: Fields of `Limits` that override the environment's.

    Raises:
        ConfigurationError: If the row is not one of `task_rows`, or its task no longer exists.
    """
    needed = ("environment", "options", "task", "seed")
    for name in needed:
        if name not in extra_info:
            raise ConfigurationError(f"a row of tasks has no {name!r}; it needs: {', '.join(needed)}")
    environment = _environment(str(extra_info["environment"]), str(extra_info["options"]))
    name = str(extra_info["task"])
    if name not in environment.tasks.ids:
        hint = did_you_mean(name, environment.tasks.ids)
        raise ConfigurationError(f"environment {extra_info['environment']!r} has no task {name!r}.{hint}")
    bounds = Limits.model_validate({**environment.limits.model_dump(), **(limits or {})})
    return Episode(environment, environment.tasks.by_id(name), int(extra_info["seed"]), bounds, record=False)


@lru_cache(maxsize=8)
def _environment(name: str, options: str) -> Environment:
    """Return the environment that the episodes of a process share."""
    return make_environment(name, **json.loads(options))
