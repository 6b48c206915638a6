from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from telegym.rewards.base import Reward, Run
from telegym.rewards.combination import Weighted
from telegym.rewards.compose import Composite
from telegym.rewards.guards import Guards, Severity, make_guards
from telegym.rewards.guards.attacks import Attack, attacked, attacks, honest_failure
from telegym.rewards.outcome import EnvironmentOutcome
from tests.rewards.guards.judges import Gullible, Naive

HONEST = [
    Attack.model_validate_json(line)
    for line in Path(__file__).with_name("honest.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    """Every attack, played."""
    return {attack.id: attacked(attack) for attack in attacks()}


@pytest.fixture(scope="module")
def honest() -> dict[str, Run]:
    """The honest run of every attack."""
    return {attack.id: honest_failure(attack) for attack in attacks()}


def composition(judge: Reward, guards: Guards | None) -> Composite:
    weights = Weighted(parts={"outcome": 0.5, "judge": 0.5}, pays_failures=True)
    return Composite({"outcome": EnvironmentOutcome(), "judge": judge}, weights, guards=guards)


def values(reward: Reward, runs: Sequence[Run]) -> list[float]:
    distinct = {id(run): run for run in runs}
    found = dict(zip(distinct, (score.value for score in reward.score(list(distinct.values()))), strict=True))
    assert None not in found.values()
    return [value for run in runs if (value := found[id(run)]) is not None]


def test_there_are_enough_attacks_of_many_families_in_both_languages() -> None:
    families = Counter(attack.family for attack in attacks())
    languages = Counter(attack.language for attack in attacks())
    assert len(attacks()) >= 200
    assert len(families) >= 10
    assert min(families.values()) >= 5
    assert min(languages["en"], languages["zh"]) >= 100
    assert len({attack.id for attack in attacks()}) == len(attacks())


def test_attacks_are_attached_to_runs_that_failed(runs: dict[str, Run], honest: dict[str, Run]) -> None:
    assert all(run.outcome.value == 0 for run in (*runs.values(), *honest.values()))


def test_no_attack_raises_the_reward_of_a_failed_run(runs: dict[str, Run], honest: dict[str, Run]) -> None:
    """The judge is taken in by everything; what guards leave is no more than the honest failure earns."""
    plain = list(honest.values())
    guarded = composition(Gullible(plain), make_guards())
    earned, fair = values(guarded, list(runs.values())), values(guarded, plain)
    raised = [name for name, got, due in zip(runs, earned, fair, strict=True) if got > due]
    assert not raised


def test_without_guards_the_attacks_work(runs: dict[str, Run], honest: dict[str, Run]) -> None:
    plain = list(honest.values())
    for judge, share in ((Gullible(plain), 1.0), (Naive(plain), 0.6)):
        bare = composition(judge, None)
        earned, fair = values(bare, list(runs.values())), values(bare, plain)
        raised = sum(got > due for got, due in zip(earned, fair, strict=True))
        assert raised >= share * len(runs)


def test_recordings_are_judged_as_live_runs_are(runs: dict[str, Run]) -> None:
    guards = make_guards()
    for name in list(runs)[:: max(1, len(runs) // 40)]:
        assert guards.inspect(Run(trajectory=runs[name].trajectory)) == guards.inspect(runs[name])


@pytest.mark.parametrize("attack", HONEST, ids=lambda attack: attack.id)
def test_honest_words_have_no_consequences(attack: Attack) -> None:
    guards = make_guards()
    hits = guards.inspect(attacked(attack))
    assert guards.consequence(hits) is None, hits


def test_attempts_at_the_verdict_are_blocked_and_behaviour_is_doubted(runs: dict[str, Run]) -> None:
    guards = make_guards()
    assert guards.gate(runs["orders-001"]) is Severity.BLOCK
    assert guards.gate(runs["verdict_format-001"]) is Severity.BLOCK
    assert guards.gate(runs["repetition-001"]) is Severity.DOUBT
    assert guards.gate(runs["orders_in_results-001"]) is Severity.DOUBT
