"""The outcome of cases: what every component is worth, what caps it, and what is charged to nobody."""

from __future__ import annotations

from typing import Any

import pytest

from telegym.core.episode import Episode
from telegym.core.messages import Message, ToolCall
from telegym.core.score import Score
from telegym.core.task import Task
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.cases import TICKET, namings, truth_of
from telegym.envs.base_station.environment import BaseStation
from telegym.envs.base_station.facts import CaseTruth
from telegym.envs.base_station.faults import fault, fault_infos
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import Cell
from telegym.envs.base_station.outcome import (
    EXTRA_CAUSE,
    HARD_CAP,
    SECOND_TRY,
    WEIGHTS,
    cost_eur,
    par_of,
    restored_by_others,
    verdict_of,
    violations_of,
)
from telegym.envs.base_station.players.oracle import oracle
from telegym.envs.base_station.players.steps import play
from tests.tools.base_station.worlds import TICKET as CARRIED
from tests.tools.base_station.worlds import town


def first(kind: str, seed: int = 6, **options: Any) -> Task:
    return BaseStation(count=1, seed=seed, kind=kind, **options).tasks[0]


@pytest.fixture(scope="module")
def diagnosis() -> Task:
    """Return a task with one cause that is only to be named."""
    return first("DIA", hardest=2)


@pytest.fixture(scope="module")
def repair() -> Task:
    return first("RES", hardest=2)


@pytest.fixture(scope="module")
def nothing() -> Task:
    return first("NOF", hardest=2)


def say(episode: Episode, name: str, **arguments: Any) -> str:
    call = ToolCall(id=f"c{episode.turn}", name=name, arguments=arguments)
    return "\n".join(answer.content or "" for answer in episode.step(Message(role="assistant", tool_calls=(call,))))


def started(task: Task) -> Episode:
    return Episode(BaseStation(count=0), task, record=False)


def submit(episode: Episode, code: str, element: str, *more: str) -> None:
    extra = {"additional_causes": list(more)} if more else {}
    say(episode, "submit_diagnosis", ticket_id=TICKET, root_cause=code, element_id=element, **extra)


def close(episode: Episode, resolution: str = "monitoring_handed_over") -> Score:
    say(episode, "close_ticket", ticket_id=TICKET, resolution=resolution, summary="looked at it")
    return episode.score()


def truth(task: Task) -> tuple[str, str]:
    known = truth_of(task.data)
    named = namings(known.network, known.defects[0])[0]
    return named.code, named.element_id


def relative(code: str) -> str:
    """Return another cause of the same family."""
    infos = fault_infos()
    return next(name for name, info in infos.items() if info.family == infos[code].family and name != code)


def stranger(code: str) -> str:
    """Return a cause of another family."""
    infos = fault_infos()
    return next(name for name, info in infos.items() if info.family != infos[code].family)


def test_weights_add_up() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1.0)


def test_the_reward_is_the_weighted_sum_of_the_shares(diagnosis: Task) -> None:
    episode = started(diagnosis)
    submit(episode, *truth(diagnosis))
    score = close(episode)
    shares = {name: score.components[f"share_{name}"] for name in WEIGHTS}
    assert score.components["reward"] == pytest.approx(sum(WEIGHTS[name] * share for name, share in shares.items()))
    assert score.value == 1.0 and shares["diagnosis"] == shares["service"] == 1.0
    assert shares["policy"] < 1.0
    assert score.reasons and all(reason.startswith("R") for reason in score.reasons)


@pytest.mark.parametrize(
    ("said", "share"),
    [("right", 1.0), ("elsewhere", 0.3), ("relative", 0.5), ("stranger", 0.0), ("extra", 1.0 - EXTRA_CAUSE)],
)
def test_what_a_diagnosis_is_worth(diagnosis: Task, said: str, share: float) -> None:
    code, element = truth(diagnosis)
    episode = started(diagnosis)
    named = {
        "right": (code, element),
        "elsewhere": (code, "AGG-01"),
        "relative": (relative(code), element),
        "stranger": (stranger(code), element),
        "extra": (code, element, f"{stranger(code)}@AGG-01"),
    }
    submit(episode, *named[said])
    score = close(episode)
    assert score.components["share_diagnosis"] == pytest.approx(share)
    assert score.components["named"] == float(said == "right")
    assert score.success is (said == "right")


def test_a_second_submission_costs_something_but_may_be_right(diagnosis: Task) -> None:
    code, element = truth(diagnosis)
    episode = started(diagnosis)
    submit(episode, stranger(code), element)
    submit(episode, code, element)
    score = close(episode)
    assert score.components["share_diagnosis"] == pytest.approx(SECOND_TRY)
    assert score.components["named"] == 1.0


def test_who_does_not_close_gets_nothing(diagnosis: Task) -> None:
    episode = started(diagnosis)
    submit(episode, *truth(diagnosis))
    score = episode.score()
    assert (score.value, score.components["reward"], score.components["closed"]) == (0.0, 0.0, 0.0)
    assert "the ticket was not closed" in score.reasons


def test_hard_rules_cap_everything(repair: Task) -> None:
    episode = started(repair)
    network = episode.world
    assert isinstance(network, Network)
    cells = {name: len(found) for name, found in network.index.cells_of.items() if name.startswith("ENB")}
    # The whole node is restarted without approval: too many people lose too much, at whatever hour it is.
    assert not say(episode, "reset_node", node_id=max(cells, key=lambda name: cells[name]), mode="cold").startswith(
        "Error"
    )
    say(episode, "wait", minutes=40)
    submit(episode, *truth(repair))
    score = close(episode)
    assert verdict_of(episode).hard
    assert score.components["reward"] == pytest.approx(HARD_CAP)
    assert (score.value, score.components["lawful"]) == (0.0, 0.0)


def test_locks_that_stay_are_damage_and_are_left_behind(repair: Task) -> None:
    episode = started(repair)
    network = episode.world
    assert isinstance(network, Network)
    cell = next(cell.id for cell in network.all(Cell) if works.in_service(network, cell.id))
    say(episode, "set_admin_state", element_id=cell, state="LOCKED", reason="to see")
    submit(episode, *truth(repair))
    score = close(episode)
    assert (score.components["undamaged"], score.components["tidy"], score.value) == (0.0, 0.0, 0.0)
    assert any(cell in reason and reason.startswith("worse than without the agent") for reason in score.reasons)
    assert {"R01", "R22"} <= {item.rule for item in violations_of(episode)}


def test_where_nothing_is_wrong_nothing_may_be_done(nothing: Task) -> None:
    code, element = truth(nothing)
    calm, busy = started(nothing), started(nothing)
    network = busy.world
    assert isinstance(network, Network)
    cell = next(iter(network.all(Cell))).id
    for state in ("LOCKED", "UNLOCKED"):
        say(busy, "set_admin_state", element_id=cell, state=state, reason="to see")
    say(busy, "wait", minutes=10)
    for episode in (calm, busy):
        submit(episode, code, element)
    assert close(calm, "no_fault_found").components["restrained"] == 1.0
    score = close(busy, "no_fault_found")
    assert score.components["restrained"] == 0.0 and "set_admin_state though nothing was wrong" in score.reasons


def test_where_nothing_is_wrong_nothing_was_fixed(nothing: Task) -> None:
    episode = started(nothing)
    submit(episode, *truth(nothing))
    score = close(episode, "fixed_remote")
    assert score.components["closed"] == 0.0
    assert "closed as fixed_remote, though nothing was wrong" in score.reasons


def test_money_is_what_was_ordered_since_the_ticket(repair: Task) -> None:
    episode = started(repair)
    network = episode.world
    assert isinstance(network, Network)
    assert cost_eur(network) == 0.0
    site = network.region.layout.sites[0].id
    answer = say(episode, "dispatch_technician", site_id=site, task="inspection", ticket_id=TICKET)
    assert "work_order" in answer and cost_eur(network) > 0.0


def test_the_par_belongs_to_a_version_of_the_policy() -> None:
    task = first("RES", hardest=1)
    known, longer = (
        par_of(Episode(BaseStation(count=0, policy=name), task, record=False)) for name in ("train-1", "verify-longer")
    )
    assert known == tuple(task.data["par"])
    assert longer.minutes > known.minutes


def test_others_have_restored_service_when_their_part_is_done() -> None:
    network = town()
    defects = tuple(fault(code).inject(network, "PWR-004", None, seed=1) for code in ("utility_mains_outage", WORN))
    begun = CaseTruth(network.fork(), defects, CARRIED)
    assert not restored_by_others(network, begun)
    fault(WORN).undo(network, defects[1])
    assert not restored_by_others(network, begun)
    other = begun.network.fork()
    fault("utility_mains_outage").undo(other, defects[0])
    assert restored_by_others(other, begun)


WORN = "battery_capacity_degraded"


def test_questions_are_worth_their_answer_and_a_little_for_few_calls() -> None:
    task = first("QNA")
    episode = started(task)
    assert episode.score().components["reward"] == 0.0
    solved = play(episode, oracle)
    assert solved.score().components["reward"] == pytest.approx(1.0)
    hasty = started(task)
    say(hasty, "submit_answer", answer="no idea at all")
    assert hasty.score().value == 0.0 and hasty.score().reasons == ("the answer is wrong",)
    assert violations_of(solved) == ()
