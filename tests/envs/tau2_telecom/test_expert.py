"""The expert: solves everything by the book, from what an agent sees, and errs on request."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from telegym.core.episode import Episode
from telegym.core.messages import Message
from telegym.core.task import Task
from telegym.envs.tau2_telecom.composition import FAMILIES, Composition, compositions
from telegym.envs.tau2_telecom.environment import Tau2Telecom
from telegym.envs.tau2_telecom.expert import Expert, Request, SlipRates
from telegym.envs.tau2_telecom.native import NativeTasks, make_task
from tests.envs.tau2_telecom.playing import ENVIRONMENT, begin, identify, message_of, task_of

ALL = [each for family in FAMILIES for each in compositions(family)]


def run(task: Task, expert: Expert, environment: Tau2Telecom = ENVIRONMENT) -> Episode:
    episode = Episode(environment, task, record=False)
    while not episode.done:
        episode.step(expert.act(episode))
    return episode


def names(episode: Episode) -> list[str]:
    return [record.call.name for record in episode.calls]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ALL), st.integers(0, 10**6))
def test_solves_every_composition_without_an_error(composition: Composition, seed: int) -> None:
    episode = run(make_task(composition, seed=seed), Expert())
    assert episode.score().reasons == ()
    assert not any(record.error for record in episode.calls)
    assert len(episode.calls) <= 30


@pytest.mark.parametrize("split", ["small", "train"])
def test_solves_the_benchmark(tau2_data: Path, split: str) -> None:
    environment = Tau2Telecom(source="benchmark", data=str(tau2_data), split=split)
    for task in environment.tasks:
        episode = run(task, Expert(), environment)
        assert episode.score().success, (task.id, episode.score().reasons)


def test_short_and_in_a_fixed_order() -> None:
    assert names(run(task_of("service_issue", "airplane_mode_on"), Expert())) == [
        *("get_customer_by_phone", "check_network_status", "toggle_airplane_mode", "done")
    ]
    assert names(run(task_of("service_issue", "lock_sim_card_pin"), Expert())) == [
        *("get_customer_by_phone", "check_network_status", "transfer_to_human_agents", "done")
    ]
    fixed = names(run(task_of("mms_issue", "bad_wifi_calling", "break_app_sms_permission"), Expert()))
    assert fixed == [
        *("get_customer_by_phone", "check_network_status", "check_wifi_calling_status", "toggle_wifi_calling"),
        *("check_apn_settings", "check_app_permissions", "grant_app_permission", "can_send_mms", "done"),
    ]


def test_settles_the_bill_by_the_book() -> None:
    called = names(run(task_of("service_issue", "overdue_bill_suspension"), Expert()))
    start = called.index("get_bills_for_customer")
    assert called[start:] == [
        *("get_bills_for_customer", "send_payment_request", "make_payment", "get_details_by_id"),
        *("resume_line", "reboot_device", "done"),
    ]


def test_sees_only_what_an_agent_sees() -> None:
    """The same transcript gives the same decision, whatever the world behind it."""
    task = task_of("mobile_data_issue", "bad_vpn", "data_mode_off")
    episode = begin(task)
    for _ in range(4):
        episode.step(Expert().act(episode))
    transcript = episode.agent_messages()
    expected = Expert().act(episode)
    episode.world.run("user", "disconnect_vpn", {})  # type: ignore[attr-defined]
    assert Expert().reply(transcript) == Expert().act(episode) == expected


def test_undoes_a_needless_toggle() -> None:
    task = task_of("mobile_data_issue", "data_saver_mode_on")
    episode = begin(task)
    for step in (identify(task), "check_network_status", "toggle_data"):
        episode.step(message_of(len(episode.calls), step))
    while not episode.done:
        episode.step(Expert().act(episode))
    assert episode.score().success and names(episode).count("toggle_data") == 2


def test_gives_up_what_does_not_help() -> None:
    """A case beyond its knowledge ends in a hand-over, not in a loop."""
    task = task_of("service_issue", "unseat_sim_card")
    episode = begin(task)
    ticket = [Message(role="user", content="No service, phone number: 000-000-0000.")]
    for number in range(6):
        reply = Expert().reply(ticket)
        ticket += [reply, Message(role="tool", tool_call_id=f"call_{number}", content="Error: no customer", error=True)]
    assert reply.tool_calls[0].name == "transfer_to_human_agents"
    assert episode.turn == 0


@pytest.mark.parametrize(
    ("ticket", "expected"),
    [
        (
            "The user cannot browse. Customer name: A B, phone number: 555-123-2002, location: abroad in France. "
            "Resolved when speed test returns excellent internet speed. They will refuel 1.5 GB of data if necessary.",
            Request("mobile_data_issue", "555-123-2002", True, 1.5),
        ),
        (
            "Unable to send MMS messages. Phone number: 555-123-2002, current location: at home in the United States.",
            Request("mms_issue", "555-123-2002", False, 2.0),
        ),
        (
            "The status bar shows 'No Service'. A B (555-123-2002).",
            Request("service_issue", "555-123-2002", False, 2.0),
        ),
    ],
)
def test_reads_tickets(ticket: str, expected: Request) -> None:
    assert Request.read(ticket) == expected


TASKS = list(NativeTasks(11, "dev", 60))


def success_rate(**rates: Any) -> float:
    expert = Expert(slips=SlipRates(**rates))
    return sum(run(task, expert).score().success for task in TASKS) / len(TASKS)


@pytest.mark.parametrize("slip", list(SlipRates.model_fields))
def test_every_slip_changes_what_happens(slip: str) -> None:
    careful = [names(run(task, Expert())) for task in TASKS]
    sloppy = [names(run(task, Expert(slips=SlipRates(**{slip: 1.0 if slip in EPISODIC else 0.3})))) for task in TASKS]
    assert careful != sloppy


EPISODIC = ("skip_check", "forget_reboot", "skip_verification", "wrong_line")


def test_slips_cost_success() -> None:
    assert success_rate() == 1.0
    assert success_rate(stop_early=0.2) < 0.6
    assert success_rate(premature_transfer=0.2) < 0.7
    assert success_rate(forget_reboot=1.0) < 1.0
    assert success_rate(needless_toggle=0.1) > 0.6


def test_slips_are_reproducible_and_seeded() -> None:
    rates = SlipRates(wrong_argument=0.3, needless_toggle=0.2)
    first, again, other = (
        [run(task, Expert(seed=seed, slips=rates)).messages for task in TASKS[:20]] for seed in (1, 1, 2)
    )
    assert first == again != other


def test_rates_are_checked() -> None:
    with pytest.raises(ValidationError):
        SlipRates(stop_early=1.5)


def test_every_kind_of_fault_is_met() -> None:
    met = Counter(name for task in TASKS for name in task.id.partition("[PERSONA")[0].partition("]")[2].split("|"))
    assert len(met) >= 15
