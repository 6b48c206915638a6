"""Judges asked while episodes go on say what they say when they are asked in the end."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from telegym.agents import judging
from telegym.agents.judging import ModelJudge
from telegym.core.score import Failure, Score
from telegym.core.world import sha256_hex
from telegym.rewards.base import Reward, Run
from telegym.rewards.beside import Beside
from telegym.rewards.combination import Weighted
from telegym.rewards.compose import Composite
from telegym.rewards.grm.asking import Budget
from telegym.rewards.grm.backend import JudgeReply, JudgeRequest
from telegym.rewards.grm.panel import JudgeSettings
from telegym.rewards.outcome import EnvironmentOutcome
from tests.rewards.grm.scripted import READ, ScriptedBackend, played, prompt_of, verdict


def moody(request: JudgeRequest) -> Any:
    """Say yes, no, nothing readable, or fail, by what is asked."""
    mood = int(sha256_hex(f"{request.seed}/{prompt_of(request)}")[:4], 16) % 10
    if mood == 0:
        return Failure(party="infrastructure", message="the line is dead")
    return "so to speak" if mood == 1 else verdict(mood % 2)


def judge(monkeypatch: pytest.MonkeyPatch, backend: Any, **options: Any) -> ModelJudge:
    monkeypatch.setattr(judging, "make_backend", lambda model, endpoint=None: backend)
    return ModelJudge(model="openai:x", **options)


def batch() -> list[Run]:
    """Return runs of three groups; some are equal."""
    readings = [READ % f"C90{number % 5}" for number in range(20)]
    sizes = [("a", 0, 8), ("b", 1, 8), ("c", 2, 4)]
    firsts = iter(readings)
    return [played(task, next(firsts), group=group) for group, task, size in sizes for _ in range(size)]


def composite(reward: Reward) -> Composite:
    parts: dict[str, Reward] = {"outcome": EnvironmentOutcome(), "judge": reward}
    return Composite(parts, Weighted(parts={"outcome": 1.0, "judge": 0.5}), batch=16)


def beside(made: Composite, runs: Sequence[Run], order: Sequence[int], seconds: float | None = None) -> list[Score]:
    with Beside(made, [run.group for run in runs], seconds) as asking:
        for row in order:
            asking.add(row, runs[row])
        return asking.score()


OPTIONS: list[dict[str, Any]] = [
    {"votes": 3},
    {"votes": 3, "fallback": "group_mean"},
    {"votes": 2, "asking": JudgeSettings(together=True)},
    {"votes": 3, "budget": Budget(requests=7)},
    {"votes": 1, "mode": "listwise"},
    {"votes": 1, "mode": "listwise", "budget": Budget(requests=3)},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kept", [False, True])
def test_the_scores_and_what_they_cost_are_the_same(
    options: dict[str, Any], kept: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In whatever order the runs end, with budgets, answers kept before, equal runs, failures and substitutes."""

    def made(name: str) -> tuple[ModelJudge, ScriptedBackend]:
        backend = ScriptedBackend(moody)
        cache = {"cache": str(tmp_path / name)} if kept else {}
        return judge(monkeypatch, backend, **options, **cache), backend

    runs = batch()
    whole, said = made("whole")
    expected = composite(whole).score(runs)
    for number in range(3):
        order = Random(number).sample(range(len(runs)), len(runs))
        part, answered = made(f"part-{number}")
        assert beside(composite(part), runs, order) == expected
        assert sorted(map(prompt_of, answered.requests)) == sorted(map(prompt_of, said.requests))
        assert part.health.rate == whole.health.rate
    if kept:
        again, silent = made("whole")
        assert [score.value for score in beside(composite(again), runs, range(len(runs)))] == [
            score.value for score in expected
        ] or options.get("budget")
        assert len(silent.requests) <= len(said.requests)


class Patient(ScriptedBackend):
    """Does not answer about some runs until it is let go."""

    def __init__(self, mute: str) -> None:
        super().__init__(lambda request: verdict(1))
        self.go = threading.Event()
        self.asked = threading.Semaphore(0)
        self._mute = mute

    def complete(self, requests: Sequence[JudgeRequest], *, seconds: float | None = None) -> list[JudgeReply | Failure]:
        self.asked.release()
        if any(self._mute in prompt_of(request) for request in requests):
            self.go.wait(60)
        return super().complete(requests)


def test_a_run_is_judged_while_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Patient("nothing")
    runs = batch()
    with Beside(composite(judge(monkeypatch, backend, votes=1)), [run.group for run in runs]) as asking:
        asking.add(3, runs[3])
        assert backend.asked.acquire(timeout=30)
    listwise = Patient("nothing")
    with Beside(composite(judge(monkeypatch, listwise, votes=1, mode="listwise")), [r.group for r in runs]) as asking:
        for row in (16, 17, 18):
            asking.add(row, runs[row])
        assert not listwise.asked.acquire(blocking=False)
        asking.add(19, runs[19])
        assert listwise.asked.acquire(timeout=30)


def test_a_judge_that_is_late_fails_and_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Patient("C903")
    runs = batch()[:8]
    try:
        scores = beside(composite(judge(monkeypatch, backend, votes=1)), runs, range(8), seconds=0.5)
    finally:
        backend.go.set()
    late = [score.failure is not None and "no verdict within 0.5 seconds" in score.failure.message for score in scores]
    assert late == [row % 5 == 3 for row in range(8)]
    assert all(score.failure.party == "infrastructure" for score in scores if score.failure is not None)
    assert [score.value is None for score in scores] == late


def test_a_model_on_this_machine_is_asked_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = ScriptedBackend(moody)
    monkeypatch.setattr(judging, "LocalBackend", ScriptedBackend)
    runs = batch()
    made = composite(judge(monkeypatch, backend, votes=1))
    with Beside(made, [run.group for run in runs]) as asking:
        for row, run in enumerate(runs):
            asking.add(row, run)
        assert backend.requests == []
        assert [score.value for score in asking.score()] == [score.value for score in made.score(runs)]
