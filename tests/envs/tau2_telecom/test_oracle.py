"""The oracle: fewest calls, no rule broken, from any point of an episode."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.episode import EndReason, Episode
from telegym.core.errors import TaskError
from telegym.core.task import Task
from telegym.envs.tau2_telecom.composition import FAMILIES, PERSONAS, Composition, compositions
from telegym.envs.tau2_telecom.environment import Tau2Telecom
from telegym.envs.tau2_telecom.native import make_task
from telegym.envs.tau2_telecom.scenario import Persona
from tests.envs.tau2_telecom.playing import ENVIRONMENT, begin, case_of, identify, message_of, own, task_of

ALL = [each for family in FAMILIES for each in compositions(family)]
REVERSIBLE = [
    *("toggle_airplane_mode", "toggle_data", "toggle_roaming", "toggle_data_saver_mode", "toggle_wifi_calling"),
    *("toggle_wifi", "connect_vpn", "disconnect_vpn", "reboot_device", "reseat_sim_card", "reset_apn_settings"),
    *("check_status_bar", "run_speed_test"),
]


def finish(episode: Episode) -> Episode:
    while not episode.done:
        hint = ENVIRONMENT.hint(episode)
        assert hint is not None, [record.call.name for record in episode.calls]
        episode.step(hint)
    return episode


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ALL), st.integers(0, 10**6))
def test_solves_every_composition_in_par(composition: Composition, seed: int) -> None:
    task = make_task(composition, seed=seed)
    episode = finish(begin(task, record=False))
    assert episode.score().reasons == ()
    assert len(episode.calls) == ENVIRONMENT.par(task)


@pytest.mark.parametrize(
    ("task", "par"),
    [
        (task_of("service_issue", "airplane_mode_on"), 3),
        (task_of("service_issue", "break_apn_settings"), 3),
        (task_of("service_issue", "lock_sim_card_pin"), 4),
        (task_of("service_issue", "lock_sim_card_pin", "unseat_sim_card"), 5),
        (task_of("service_issue", "overdue_bill_suspension"), 8),
        (task_of("service_issue", "overdue_bill_suspension", "airplane_mode_on"), 8),
        (task_of("mobile_data_issue", "data_usage_exceeded"), 4),
        (task_of("mms_issue", "break_app_both_permissions", "break_apn_mms_setting"), 5),
    ],
    ids=lambda value: value.id if isinstance(value, Task) else str(value),
)
def test_par(task: Task, par: int) -> None:
    assert ENVIRONMENT.par(task) == par


def test_par_cannot_be_beaten_by_leaving_a_call_out() -> None:
    for seed in range(12):
        task = make_task(Random(seed).choice(ALL), seed=seed)
        calls = [record.call for record in finish(begin(task, record=False)).calls]
        for left_out in range(len(calls) - 1):
            episode = begin(task, record=False)
            for number, call in enumerate(calls):
                if number != left_out and not episode.done:
                    episode.step(message_of(number, (call.name, call.arguments)))
            assert not episode.score().success, (task.id, calls[left_out].name)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ALL), st.integers(0, 10**6), st.lists(st.sampled_from(REVERSIBLE), max_size=6))
def test_takes_over_in_the_middle(composition: Composition, seed: int, meddling: list[str]) -> None:
    """Whatever was flipped, it flips back what has to be and solves the task without a trace of damage."""
    task = make_task(composition, seed=seed)
    episode = begin(task, record=False)
    episode.step(message_of(0, identify(task)))
    for number, name in enumerate(meddling, start=1):
        episode.step(message_of(number, name))
    assert finish(episode).score().reasons == ()


@pytest.mark.parametrize("mode", ["2g_only", "4g_only"])
def test_puts_a_changed_mode_back(mode: str) -> None:
    task = task_of("mobile_data_issue", "data_saver_mode_on")
    episode = begin(task)
    for step in (identify(task), ("set_network_mode_preference", {"mode": mode})):
        episode.step(message_of(len(episode.calls), step))
    assert finish(episode).score().success


def test_puts_roaming_of_the_line_back() -> None:
    task = task_of("mobile_data_issue", "user_abroad_roaming_enabled_off")
    episode = begin(task)
    for step in (identify(task), ("disable_roaming", own(task))):
        episode.step(message_of(len(episode.calls), step))
    assert finish(episode).score().success


def test_completes_a_partial_refuel() -> None:
    task = next(
        each
        for seed in range(50)
        if case_of(each := task_of("mobile_data_issue", "data_usage_exceeded", seed=seed)).agreed_gb == 2.0
    )
    episode = begin(task)
    for step in (identify(task), ("get_data_usage", own(task)), ("refuel_data", own(task) | {"gb_amount": 0.5})):
        episode.step(message_of(len(episode.calls), step))
    assert finish(episode).score().success


def test_has_no_hint_after_the_end_or_beyond_repair() -> None:
    task = task_of("mobile_data_issue", "data_usage_exceeded")
    episode = finish(begin(task))
    assert ENVIRONMENT.hint(episode) is None
    spoilt = begin(task)
    for step in (identify(task), ("get_data_usage", own(task)), ("refuel_data", own(task) | {"gb_amount": 50})):
        spoilt.step(message_of(len(spoilt.calls), step))
    assert ENVIRONMENT.hint(spoilt) is None


def test_an_impossible_task_has_no_par() -> None:
    task = task_of("service_issue", "lock_sim_card_pin")
    lie = task.model_copy(update={"actions": (), "assertions": task_of("service_issue", "airplane_mode_on").assertions})
    with pytest.raises(TaskError, match="cannot be solved"):
        ENVIRONMENT.par(lie)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ALL), st.integers(0, 10**6), st.sampled_from(PERSONAS))
def test_leads_a_user_to_the_goal(composition: Composition, seed: int, persona: Persona) -> None:
    environment = Tau2Telecom(count=0, mode="dual")
    episode = Episode(environment, make_task(composition, persona, seed), seed)
    while not episode.done:
        hint = environment.hint(episode)
        assert hint is not None
        episode.step(hint)
    assert episode.end is EndReason.USER_STOP
    assert episode.score().reasons == ()
