"""The dual-mode expert talks real cases through with the scripted user, to a perfect strict score."""

from __future__ import annotations

from pathlib import Path

import pytest

from telegym.core.episode import Episode
from telegym.core.task import Task
from telegym.envs.tau2_telecom.dual_expert import DualExpert
from telegym.envs.tau2_telecom.environment import Tau2Telecom


def play(environment: Tau2Telecom, task: Task) -> Episode:
    episode = Episode(environment, task)
    expert = DualExpert()
    while episode.end is None:
        episode.step(expert.act(episode))
    return episode


def check(environment: Tau2Telecom, count: int) -> None:
    lost = {}
    for task in environment.tasks[:count]:
        score = play(environment, task).score()
        if not score.success:
            lost[task.id] = score.reasons
    assert lost == {}


@pytest.mark.parametrize("split", ["train", "test-compositions"])
def test_native_cases(split: str) -> None:
    check(Tau2Telecom(mode="dual", count=60, split=split), 60)


def test_benchmark_cases(tau2_data: Path) -> None:
    check(Tau2Telecom(mode="dual", source="benchmark", data=str(tau2_data), split="base"), 114)


@pytest.mark.slow
def test_many_cases(tau2_data: Path) -> None:
    check(Tau2Telecom(mode="dual", source="benchmark", data=str(tau2_data), split="all"), 3000)
    check(Tau2Telecom(mode="dual", count=3000, split="test"), 3000)


def test_the_expert_hands_over_what_the_user_does_not_fix() -> None:
    environment = Tau2Telecom(mode="dual", count=200)
    task = next(task for task in environment.tasks if task.labels["expected_failure"])
    episode = play(environment, task)
    assert any(record.call.name == "transfer_to_human_agents" for record in episode.calls)
    assert "###TRANSFER###" in (episode.messages[-1].content or "")
