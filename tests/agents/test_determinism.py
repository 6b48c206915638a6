"""The same seed gives the same bytes: in any batch, in another process, with another hash seed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from telegym.agents.base import make_agent
from telegym.agents.rollout import rollout
from telegym.core.replay import replay
from telegym.core.trajectory import read_trajectories
from telegym.envs.registry import make_environment

ROOT = Path(__file__).resolve().parents[2]
MODES = ("solo", "dual")
SCRIPT = """
import sys
from telegym.agents.base import make_agent
from telegym.agents.rollout import rollout
from telegym.envs.registry import make_environment

for mode in ("solo", "dual"):
    environment = make_environment("tau2-telecom", split="test", count=12, mode=mode)
    for name in ("oracle", "random"):
        options = {"talk": 0.5} if (name, mode) == ("random", "dual") else {}
        agent = make_agent(name, **options)
        rollout(environment, environment.tasks, agent, seeds=[0, 1], write_to=sys.argv[1], batch_size=int(sys.argv[2]))
"""


def digest(file: Path, hash_seed: str, batch_size: int) -> str:
    """Play in a process of its own; return the digest of what it wrote."""
    command = [sys.executable, "-c", SCRIPT, str(file), str(batch_size)]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": hash_seed})
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    first = digest(tmp_path / "a.jsonl", "1", 1)
    assert digest(tmp_path / "b.jsonl", "2", 7) == first
    assert digest(tmp_path / "c.jsonl", "3", 64) == first
    assert sum(1 for _ in read_trajectories(tmp_path / "a.jsonl")) == 12 * 2 * 2 * 2


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["oracle", "random"])
def test_what_is_written_can_be_replayed(mode: str, name: str) -> None:
    environment = make_environment("tau2-telecom", split="test", count=12, mode=mode)
    for episode in rollout(environment, environment.tasks, make_agent(name)):
        assert replay(episode.trajectory(name), environment) == []


@pytest.mark.parametrize("name", ["oracle", "expert"])
def test_those_who_know_solve_tau2_tasks_alone(name: str) -> None:
    environment = make_environment("tau2-telecom", split="test", count=40)
    episodes = rollout(environment, environment.tasks, make_agent(name))
    assert [episode.task.id for episode in episodes if not episode.score().success] == []


def test_random_calls_solve_no_tau2_task_but_reach_real_records() -> None:
    environment = make_environment("tau2-telecom", split="test", count=40)
    episodes = rollout(environment, environment.tasks, make_agent("random"))
    assert not any(episode.score().success for episode in episodes)
    records = [record for episode in episodes for record in episode.calls if record.call.arguments]
    assert {record.error for record in records if record.error is not None} == {"refused"}
    assert any(record.error is None for record in records)
