"""The auditor of base-station maintenance: reference plays are right, and each check finds what it is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message, ToolCall
from telegym.core.replay import replay_episode
from telegym.core.task import Task
from telegym.envs.base_station.cases import truth_of
from telegym.envs.base_station.environment import BaseStation
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import Cell
from telegym.envs.base_station.players.expert import expert
from telegym.envs.base_station.players.oracle import oracle
from telegym.envs.base_station.players.remedies import remedies
from telegym.envs.base_station.players.steps import Player, play, without_repeats
from telegym.envs.base_station.policy import RULES
from telegym.envs.base_station.process.field import catalogue
from telegym.rewards.reasonableness.auditor import Audit, auditor_for
from telegym.rewards.reasonableness.base_station import BaseStationAuditor, naming, refusals, rules, treatment
from telegym.rewards.reasonableness.base_station.case import Case
from telegym.rewards.reasonableness.base_station.corruptions import BaseStationCorrupter
from telegym.rewards.reasonableness.base_station.efficiency import reference_cost
from telegym.rewards.reasonableness.summary import quality
from telegym.rewards.verdict import CallVerdict, Check, Code, View
from telegym.tools.base_station._definition import definitions

COUNT = 14
AUDITOR = BaseStationAuditor()


@cache
def environment() -> BaseStation:
    return BaseStation(count=COUNT)


@cache
def played(index: int, player: Player) -> Episode:
    task = environment().tasks[index]
    return play(Episode(environment(), task), without_repeats(player))


def wrong(audit: Audit) -> list[CallVerdict]:
    return [verdict for verdict in audit.verdicts if verdict.reasonable is False]


def task_of(test: Callable[[Task], bool]) -> Task:
    return next(task for task in environment().tasks if test(task))


def message(*calls: tuple[str, dict[str, Any]]) -> Message:
    made = tuple(ToolCall(id=f"c{place}", name=name, arguments=given) for place, (name, given) in enumerate(calls))
    return Message(role="assistant", content=None, tool_calls=made)


def episode_of(task: Task, *calls: tuple[str, dict[str, Any]]) -> Episode:
    episode = Episode(environment(), task)
    for call in calls:
        episode.step(message(call))
    return episode


def repairable() -> Task:
    return task_of(lambda task: task.data["kind"] == "RES" and task.labels["cause"] == "cell_barred")


# --- plays of references -----------------------------------------------------------------------------------


ORACLE_ERRS = {"sleeping_cell_access"}
"""Causes for which the oracle restarts a board that works again."""


@pytest.mark.parametrize("index", range(COUNT))
def test_every_call_of_the_oracle_is_right_by_the_truth(index: int) -> None:
    episode = played(index, oracle)
    if episode.task.labels["cause"] in ORACLE_ERRS:
        pytest.skip("the oracle does not believe a test that passed")
    audit = AUDITOR.audit(episode, View.ORACLE)
    assert not wrong(audit)
    assert len(audit.verdicts) == len(episode.calls)
    assert not audit.unsafe
    assert audit.values["completion"] == 1.0
    assert audit.values["claims"] == 1.0
    assert quality(audit) > 0.95


@pytest.mark.parametrize("index", range(COUNT))
def test_calls_of_the_blind_expert_are_right_by_the_evidence(index: int) -> None:
    episode = played(index, expert)
    found = wrong(AUDITOR.audit(episode, View.OBSERVABLE, counterfactual=False))
    assert all(episode.calls[verdict.index].call.name not in episode.toolkit for verdict in found)


def test_an_audit_leaves_the_episode_as_it_is() -> None:
    episode = played(2, oracle)
    before, journal = episode.world.state_hash(), episode.world.journal  # type: ignore[attr-defined]
    for view in View:
        AUDITOR.audit(episode, view)
    assert episode.world.state_hash() == before
    assert episode.world.journal is journal  # type: ignore[attr-defined]


def test_a_recording_gets_the_same_verdicts() -> None:
    episode = played(1, expert)
    again = replay_episode(episode.trajectory(), environment())
    for view in View:
        assert AUDITOR.audit(again, view) == AUDITOR.audit(episode, view)


def test_the_auditor_is_found_by_its_environment_and_refuses_others() -> None:
    assert isinstance(auditor_for("base-station"), BaseStationAuditor)
    other = played(2, oracle).fork()
    other.environment = type("Other", (BaseStation,), {"id": "other"})(count=0)
    with pytest.raises(ConfigurationError, match="base-station"):
        AUDITOR.audit(other)


def test_knowing_the_cause_is_no_evidence() -> None:
    """What the oracle names without having seen it is right by the truth, and not by the evidence."""
    gaps = 0
    for index in range(COUNT):
        by_truth = AUDITOR.audit(played(index, oracle), View.ORACLE, counterfactual=False)
        by_evidence = AUDITOR.audit(played(index, oracle), View.OBSERVABLE, counterfactual=False)
        gaps += len(wrong(by_evidence)) > len(wrong(by_truth))
    assert gaps >= 3


def test_efficiency_is_measured_against_who_knew_no_more() -> None:
    episode = played(1, expert)
    assert AUDITOR.audit(episode, View.OBSERVABLE).values["efficiency"] == 1.0
    assert reference_cost(episode) == reference_cost(played(1, oracle))
    longer = environment().tasks[1]
    slow = Episode(environment(), longer)
    for _ in range(30):
        slow.step(message(("get_external_notices", {})))
    play(slow, oracle)
    value = AUDITOR.audit(slow, View.OBSERVABLE).values["efficiency"]
    assert value is not None
    assert value < 0.7
    assert AUDITOR.audit(slow, View.OBSERVABLE, counterfactual=False).values["efficiency"] is None


# --- names -------------------------------------------------------------------------------------------------


def test_names_give_each_other_away_but_must_exist() -> None:
    task = repairable()
    network = truth_of(task.data).network
    cell = next(iter(network.all(Cell)))
    site = cell.site_id
    episode = episode_of(
        task,
        ("list_elements", {"element_type": "cell", "filter_text": cell.id}),
        ("get_fronthaul_status", {"ru_id": cell.ru_id}),
        ("get_power_status", {"site_id": site}),
        ("get_element_info", {"element_id": f"CSR-{site[1:]}"}),
        ("get_node_status", {"node_id": f"DU-{site[1:]}"}),
        ("get_cell_status", {"cell_id": f"{site}-L99-9"}),
    )
    grounded = [v.checks.get(Check.GROUNDING) for v in AUDITOR.audit(episode, View.OBSERVABLE).verdicts]
    there = f"DU-{site[1:]}" in network.objects
    assert grounded == [None, 1.0, 1.0, 1.0, float(there), 0.0]


def test_a_refusal_makes_nothing_known() -> None:
    task = repairable()
    twice = [("get_node_status", {"node_id": "ENB-999"})] * 2
    audit = AUDITOR.audit(episode_of(task, *twice), View.OBSERVABLE, counterfactual=False)
    assert [verdict.checks[Check.GROUNDING] for verdict in audit.verdicts] == [0.0, 0.0]
    assert audit.verdicts[0].code is Code.UNGROUNDED
    assert audit.verdicts[1].checks[Check.RECOVERY] == 0.0


def test_what_a_turn_tells_is_not_known_in_it() -> None:
    task = repairable()
    network = truth_of(task.data).network
    hidden = [cell.id for cell in network.all(Cell) if cell.site_id not in task.ticket]
    calls = (
        ("list_elements", {"element_type": "cell", "filter_text": hidden[-1]}),
        ("get_cell_status", {"cell_id": hidden[-1]}),
    )
    together = Episode(environment(), task)
    together.step(message(*calls))
    apart = episode_of(task, *calls)
    values = [AUDITOR.audit(e, View.OBSERVABLE).verdicts[1].checks[Check.GROUNDING] for e in (together, apart)]
    assert values == [0.0, 1.0]


def test_every_argument_that_looks_like_an_id_is_a_name() -> None:
    table = naming._table()
    arguments = {name for tool in definitions().values() for name in tool.parameters}
    assert {name for name in arguments if name.endswith(("_id", "_ids"))} <= set(table["names"])
    listed = (*table["names"], *table["causes"], *table["parts"], *table["texts"])
    assert set(listed) <= arguments
    assert all(set(names) <= set(definitions()[tool].parameters) for tool, names in table["values"].items())


# --- remedies, rules, refusals -----------------------------------------------------------------------------


def test_every_cause_has_its_remedies_and_every_remedy_is_a_possible_call() -> None:
    assert set(treatment._remedies()) == set(remedies())
    for code, rows in treatment._remedies().items():
        for row in rows:
            known = definitions()[row.tool].parameters
            assert set(row.arguments) <= set(known), code
            for name, values in row.arguments.items():
                allowed = catalogue().parts if name == "part_type" else known[name].get("enum", values)
                assert all(any(treatment._like(str(item), value) for item in allowed) for value in values), (code, name)


def test_every_rule_has_its_place() -> None:
    assert set(rules._PLACES) == set(RULES)
    assert {name for name, (_, code) in rules._PLACES.items() if code is Code.UNSAFE} >= rules.HARM


def test_what_is_foreseeable_is_a_refusal_that_tools_make() -> None:
    task = repairable()
    early = ("close_ticket", {"ticket_id": "INC-10023", "resolution": "fixed_remote", "summary": "done"})
    audit = AUDITOR.audit(episode_of(task, early), View.ORACLE)
    assert audit.verdicts[0].code is Code.PREMATURE
    assert len(refusals._table()) == len({row.words for row in refusals._table()})


def test_a_needless_lock_is_found_harmful_on_a_copy() -> None:
    task = repairable()
    truth = truth_of(task.data)
    concerned = treatment.sites_of(truth.defects[0].element_id)
    busy = [cell for cell in truth.network.all(Cell) if cell.site_id not in concerned]
    episode = episode_of(
        task,
        ("list_alarms", {}),
        ("get_external_notices", {}),
        ("get_cell_status", {"cell_id": busy[0].id}),
        ("set_admin_state", {"element_id": busy[0].id, "state": "LOCKED", "reason": "to be on the safe side"}),
    )
    audit = AUDITOR.audit(episode, View.ORACLE)
    assert audit.unsafe
    assert audit.verdicts[3].code is Code.UNSAFE
    assert audit.verdicts[3].checks[Check.SAFETY] == 0.0
    assert audit.counters["trials"] == 1


def test_a_repair_that_evidence_speaks_for_is_right_by_the_evidence_alone() -> None:
    """The blind expert's repair, in a network in which the cause is another."""
    index = next(i for i in range(COUNT) if environment().tasks[i].labels["cause"] == "cell_barred")
    case = Case(played(index, expert))
    repair = next(act for act in case.acts if act.tool == "set_parameter")
    likely = treatment.likelihood(repair, _possible(case, repair.visible))
    other = treatment.Ailment("wrong_tac", (repair.element_id,))
    assert likely == 1.0
    assert not treatment.helps(repair, other)


def _possible(case: Case, calls: int) -> Any:
    from telegym.envs.base_station.hypotheses import hypotheses

    return hypotheses(case.episode.calls[:calls])


def test_questions_are_right_or_wrong_by_the_truth() -> None:
    index = next(i for i in range(COUNT) if environment().tasks[i].data["kind"] == "QNA")
    asked = environment().tasks[index]
    guess = Episode(environment(), asked)
    guess.step(message(("submit_answer", {"answer": "none of it"})))
    assert AUDITOR.audit(guess, View.ORACLE).verdicts[0].code is Code.CLAIM
    assert AUDITOR.audit(guess, View.OBSERVABLE).verdicts[0].code is Code.CLAIM
    assert not wrong(AUDITOR.audit(played(index, expert), View.OBSERVABLE))


# --- corruptions -------------------------------------------------------------------------------------------


def seeds(view: View, indices: tuple[int, ...]) -> Iterator[Any]:
    corrupter = BaseStationCorrupter(environment(), view)
    for index in indices:
        for kind in corrupter.kinds:
            found = corrupter.seeded(environment().tasks[index], kind, "t")
            if found is not None:
                yield found


@pytest.mark.parametrize(("player", "indices"), [(View.ORACLE, (2, 10)), (View.OBSERVABLE, (1, 10))])
def test_every_seeded_fault_is_found_in_the_right_call(player: View, indices: tuple[int, ...]) -> None:
    """Plays of the blind expert in both views, those of the oracle by the truth."""
    kinds = set()
    for seeded in seeds(player, indices):
        kinds.add(seeded.kind)
        for view in {player, View.ORACLE}:
            found = {item.index: item for item in wrong(AUDITOR.audit(seeded.episode, view, counterfactual=False))}
            assert set(seeded.wrong) <= set(found), (seeded.kind, view)
            assert set(found) <= set(seeded.wrong) | seeded.open, (seeded.kind, view, found)
    assert len(kinds) >= 18


def test_careful_players_do_not_ask_twice() -> None:
    for index in (0, 5, 8):
        plain = play(Episode(environment(), environment().tasks[index]), expert)
        careful = played(index, expert)
        assert len(careful.calls) <= len(plain.calls)
        assert careful.score().success == plain.score().success
    assert isinstance(played(0, expert).world, Network)
