"""Cheaters get nothing in strict mode; the official rule can be cheated, which is why there is a strict one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.episode import Episode
from telegym.envs.tau2_telecom.cheaters import CHEATERS, play
from telegym.envs.tau2_telecom.composition import FAMILIES, Composition, compositions
from telegym.envs.tau2_telecom.environment import Tau2Telecom
from telegym.envs.tau2_telecom.native import make_task
from tests.envs.tau2_telecom.playing import ENVIRONMENT, begin, task_of

ALL = [each for family in FAMILIES for each in compositions(family)]


@pytest.mark.parametrize("name", list(CHEATERS))
@settings(max_examples=40, deadline=None)
@given(composition=st.sampled_from(ALL), seed=st.integers(0, 10**6))
def test_cheating_does_not_pay(name: str, composition: Composition, seed: int) -> None:
    episode = begin(make_task(composition, seed=seed), record=False)
    result = play(CHEATERS[name], ENVIRONMENT, episode)
    assert result.value == 0.0 and result.reasons


@pytest.mark.parametrize("name", list(CHEATERS))
def test_cheaters_really_play(name: str) -> None:
    episode = begin(task_of("service_issue", "airplane_mode_on"))
    play(CHEATERS[name], ENVIRONMENT, episode)
    assert episode.turn >= 1
    assert not any(record.error == "unknown_tool" for record in episode.calls)


def test_the_official_rule_can_be_cheated() -> None:
    environment = Tau2Telecom(count=0, scoring="benchmark")
    task = task_of("service_issue", "lock_sim_card_pin")
    for name in ("immediate_transfer", "failed_transfer"):
        assert play(CHEATERS[name], environment, Episode(environment, task)).value == 1.0
