"""A judge that errs at a known rate errs at that rate, and always in the same way."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from telegym.core.episode import EndReason, Episode
from telegym.core.errors import ConfigurationError
from telegym.core.score import Failure, Score
from telegym.envs.registry import make_environment
from telegym.rewards.base import Judgement, Run
from telegym.rewards.fallible import FallibleJudge
from telegym.rewards.reasonableness import Reasonableness
from telegym.rewards.reasonableness.auditor import Audit, Auditor, auditor_for
from telegym.rewards.registry import make_reward
from telegym.rewards.verdict import View

TASKS = make_environment("tau2-telecom", split="dev", count=60, mode="solo")


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    """Successes and, every third time, a run that ended at once."""
    made = []
    for index, task in enumerate(TASKS.tasks):
        episode = Episode(TASKS, task)
        while not episode.done:
            if index % 3 == 0 and episode.turn == 2:
                episode.truncate(EndReason.TURN_LIMIT)
                break
            message = TASKS.hint(episode)
            assert message is not None
            episode.step(message)
        made.append(Run.of(episode))
    return made


def _errors(said: Sequence[Score], runs: Sequence[Run]) -> tuple[list[bool], list[bool]]:
    truth = Reasonableness().score(runs)
    whole = [score.value != float(run.outcome.success) for score, run in zip(said, runs, strict=True)]
    calls = [
        given != true
        for score, known in zip(said, truth, strict=True)
        for given, true in zip(score.calls, known.calls, strict=True)
        if true is not None
    ]
    return whole, calls


def test_rates(runs: list[Run]) -> None:
    assert not any(map(any, _errors(FallibleJudge(error=0).score(runs), runs)))
    assert all(map(all, _errors(FallibleJudge(error=1).score(runs), runs)))
    whole, calls = _errors(FallibleJudge(error=0.2).score(runs), runs)
    assert len(calls) > 200 and sum(calls) / len(calls) == pytest.approx(0.2, abs=0.06)
    assert 0.05 < sum(whole) / len(whole) < 0.4


def test_forks_are_only_made_if_asked_for(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    auditor = type(auditor_for(TASKS.id))
    audit = auditor.audit

    def listening(self: Auditor, episode: Episode, view: View, *, counterfactual: bool = True) -> Audit:
        asked.append(counterfactual)
        return audit(self, episode, view, counterfactual=counterfactual)

    monkeypatch.setattr(auditor, "audit", listening)
    for forks in (False, True):
        make_reward("fallible-judge", counterfactual=forks).score(runs[:2])
    assert asked == [False, False, True, True]


def test_the_same_verdicts_whatever_else_is_asked(runs: list[Run]) -> None:
    judge = FallibleJudge(error=0.3)
    at_once = judge.score(runs)
    assert at_once == [FallibleJudge(error=0.3)(run) for run in reversed(runs)][::-1]
    assert at_once != FallibleJudge(error=0.3, seed=1).score(runs)
    told = [score.counters["wrong"] for score in at_once if isinstance(score, Judgement)]
    whole, calls = _errors(at_once, runs)
    assert sum(told) == sum(whole) + sum(calls)


def test_a_run_that_broke_stays_a_failure() -> None:
    episode = Episode(TASKS, TASKS.tasks[0])
    failure = Failure(party="infrastructure", message="the server died")
    episode.truncate(EndReason.INFRASTRUCTURE, failure)
    assert FallibleJudge()(Run.of(episode)).failure == failure


def test_settings() -> None:
    made = make_reward("fallible-judge", error=0.25, seed=4)
    assert isinstance(made, FallibleJudge) and (made.error, made.seed) == (0.25, 4)
    with pytest.raises(ConfigurationError, match=r"error is 1\.5; valid: a share of verdicts"):
        FallibleJudge(error=1.5)
