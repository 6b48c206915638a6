"""The outcome of a case: a strict verdict, and a graded reward.

The reward is `G (0.30 D + 0.30 S + 0.12 V + 0.10 P + 0.08 L + 0.05 C + 0.05 E)`: diagnosis, service, verification and
order, policy, time, money, calls; `G` is 0 for who ends without closing. Who breaks a hard rule gets 0.2 at most.
Damage is what a copy of the network, in which nobody acted, does not have.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from telegym.core.score import Score
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station import epochs
from telegym.envs.base_station.cases import QUESTION, TICKET, namings, truth_of
from telegym.envs.base_station.facts import CaseTruth, make_trace
from telegym.envs.base_station.faults import Defect, fault, fault_infos
from telegym.envs.base_station.impact import loss, lost_users
from telegym.envs.base_station.network import ConfigChange, Network
from telegym.envs.base_station.objects import (
    AdministrativeState,
    Cell,
    ClockUnit,
    GeneratorState,
    PowerSystem,
    Router,
)
from telegym.envs.base_station.policy import PolicyConstants, Trace, Verdict, Violation, judge
from telegym.envs.base_station.power_model import mains_live
from telegym.envs.base_station.priority import priorities
from telegym.envs.base_station.process.field import work_cost_eur
from telegym.envs.base_station.process.parties import PARTIES
from telegym.envs.base_station.process.records import (
    Diagnosis,
    Escalation,
    Question,
    Ticket,
    TicketStatus,
    WorkOrder,
    WorkState,
)
from telegym.envs.base_station.process.tickets import SERVICE_LEVELS_MIN
from telegym.envs.base_station.questions import check_answer

if TYPE_CHECKING:
    from telegym.core.episode import Episode

__all__ = [
    "SELF_HEALING",
    "Par",
    "cost_eur",
    "dealt_with",
    "harmed",
    "left_behind",
    "measured_par",
    "outcome",
    "par_of",
    "restored_by_others",
    "trace_of",
    "verdict_of",
    "violations_of",
]

WEIGHTS = {
    "diagnosis": 0.30,
    "service": 0.30,
    "verified": 0.12,
    "policy": 0.10,
    "time": 0.08,
    "money": 0.05,
    "calls": 0.05,
}
"""What each component is worth."""
HARD_CAP = 0.2
"""Highest reward of an episode in which a hard rule was broken."""
ALLOWED_LOSS = 300.0
"""User-minutes that an agent may cause without being charged with damage."""
SECOND_TRY = 0.9
"""Factor on a diagnosis that was submitted twice."""
EXTRA_CAUSE = 0.25
"""What a cause that is named and is not there takes from a diagnosis."""
SLACK_EUR, SLACK_FACTOR = 100.0, 1.5
"""What may be spent beyond the par, in time and money."""
SELF_HEALING = frozenset({"planned_work_alarms", "mass_event_congestion", "faulty_sensor_false_alarm"})
"""Causes that need no repair before the case is closed."""
NOTICEABLE_USERS = 0.5
"""Users without service from which the share that was recovered is a meaningful number."""
_CLOSING_WITHOUT_FAULT = frozenset({"no_fault_found", "planned_work"})
_NOT_FOR_NO_FAULT = frozenset({"dispatch_technician", "activate_outage_compensation"})
_KEPT = 4096
_PARS: OrderedDict[str, Par] = OrderedDict()


class Par(NamedTuple):
    """What the oracle needs for a case."""

    calls: int
    """Calls."""
    minutes: float
    """Minutes until the ticket is closed."""
    cost_eur: float
    """Money."""
    lost_user_minutes: float
    """User-minutes lost meanwhile."""


def outcome(episode: Episode) -> Score:
    """Return the score of an episode: its value is 1 if every assertion holds and no hard rule was broken, else 0.

    `components["reward"]` is the graded reward.
    """
    network = episode.world
    if not isinstance(network, Network):
        raise TypeError(f"the outcome of a case needs a Network, not a {type(network).__name__}")
    if episode.task.data["kind"] == "QNA":
        return _question_score(episode, network)
    return _case_score(episode, network, truth_of(episode.task.data))


def _question_score(episode: Episode, network: Network) -> Score:
    """Return 1 for the right answer; the graded reward counts calls a little."""
    asked = network.get(Question, QUESTION)
    answered = asked.answer is not None
    right = answered and check_answer(episode.task.data["question"]["expected"], asked.answer or "", asked.unit)
    calls = _share_of_calls(episode, par_of(episode))
    reasons = () if right else ("the answer is wrong" if answered else "no answer was submitted",)
    components = {
        "reward": round(right * (1.0 - WEIGHTS["calls"] * (1.0 - calls)), 6),
        "share_calls": round(calls, 6),
        "answered": float(answered),
        "right": float(right),
    }
    return Score(value=float(right), components=components, reasons=reasons)


# --- cases ----------------------------------------------------------------------------------------------


def _case_score(episode: Episode, network: Network, truth: CaseTruth) -> Score:
    kind = episode.task.data["kind"]
    ticket = network.get(Ticket, TICKET)
    alone = truth.network.fork()
    alone.advance(max(network.now - alone.now, 0))
    left = left_behind(network)
    restored = restored_by_others(network, truth)
    verdict = _judge(episode, network, truth, restored=restored, left=left)
    par = par_of(episode)
    parts = {
        "diagnosis": _diagnosis(truth, ticket.diagnoses),
        "service": 1.0 if kind == "DIA" else _service(network, alone, truth),
        "verified": _verified(verdict, ticket, left),
        "policy": verdict.score,
        **_spent(episode, network, par, truth),
    }
    closed = ticket.status is TicketStatus.CLOSED
    reward = sum(WEIGHTS[name] * value for name, value in parts.items()) if closed else 0.0
    reward = min(reward, HARD_CAP) if verdict.hard else reward
    failed = _failed(episode, network, alone, truth, par, verdict, left)
    checks = {name: float(name not in failed) for name in _assertions(kind)}
    components = {"reward": round(reward, 6), **{f"share_{name}": round(value, 6) for name, value in parts.items()}}
    reasons = (*failed.values(), *(f"{item.rule}: {item.reason}" for item in verdict.violations))
    value = float(not failed)
    return Score(value=value, components={**components, **checks}, reasons=tuple(reasons))


def violations_of(episode: Episode) -> tuple[Violation, ...]:
    """Return the rules that an episode broke; none for a question.

    Raises:
        TypeError: If it is no episode of base-station maintenance.
    """
    return () if episode.task.data["kind"] == "QNA" else verdict_of(episode).violations


def verdict_of(episode: Episode) -> Verdict:
    """Return how an episode about a case kept to the policy.

    Raises:
        TypeError: If it is no episode of base-station maintenance.
    """
    return judge(trace_of(episode), getattr(episode.environment, "constants", PolicyConstants()))


def trace_of(episode: Episode) -> Trace:
    """Return an episode about a case as the rules of the policy see it.

    Raises:
        TypeError: If it is no episode of base-station maintenance.
    """
    network = episode.world
    if not isinstance(network, Network):
        raise TypeError(f"the policy needs a Network, not a {type(network).__name__}")
    truth = truth_of(episode.task.data)
    restored = restored_by_others(network, truth)
    return make_trace(network, truth, restored=restored, left_behind=left_behind(network))


def _judge(episode: Episode, network: Network, truth: CaseTruth, *, restored: bool, left: list[str]) -> Verdict:
    constants = getattr(episode.environment, "constants", PolicyConstants())
    return judge(make_trace(network, truth, restored=restored, left_behind=left), constants)


# --- assertions -----------------------------------------------------------------------------------------


def _assertions(kind: str) -> tuple[str, ...]:
    common = ("named", "closed", "undamaged", "tidy", "lawful")
    if kind == "DIA":
        return common
    if kind == "NOF":
        return (*common, "restored", "restrained", "in_budget")
    return (*common, "restored", "in_time", "in_budget", *(("prevented",) if kind == "PRV" else ()))


def _failed(
    episode: Episode,
    network: Network,
    alone: Network,
    truth: CaseTruth,
    par: Par,
    verdict: Verdict,
    left: list[str],
) -> dict[str, str]:
    """Return the assertions that do not hold, each with a sentence."""
    kind = episode.task.data["kind"]
    ticket = network.get(Ticket, TICKET)
    worse = harmed(network, alone)
    cost, spent, allowed = cost_eur(network), _minutes(network, truth), _time_limit(truth, par)
    budget = SLACK_FACTOR * par.cost_eur + SLACK_EUR
    found: dict[str, str | bool] = {
        "named": _diagnosis(truth, ticket.diagnoses, strict=True) < 1.0 and "the diagnosis is missing or wrong",
        "closed": _closing_fault(ticket, kind),
        "undamaged": bool(worse) and f"worse than without the agent: {', '.join(worse[:5])}",
        "tidy": bool(left) and f"left behind: {', '.join(left[:5])}",
        "lawful": verdict.hard and "a hard rule was broken",
        "restored": not all(dealt_with(network, defect) for defect in truth.defects) and "the cause is still there",
        "in_time": spent > allowed and f"took {spent:.0f} minutes, {allowed:.0f} are allowed",
        "in_budget": cost > budget and f"cost {cost:.0f} EUR, {budget:.0f} are allowed",
        "prevented": kind == "PRV" and _not_prevented(network, truth, par),
        "restrained": kind == "NOF" and _not_restrained(network),
    }
    return {name: str(text) for name, text in found.items() if text and name in _assertions(kind)}


def _closing_fault(ticket: Ticket, kind: str) -> str | bool:
    if ticket.status is not TicketStatus.CLOSED:
        return "the ticket was not closed"
    right = ticket.resolution in _CLOSING_WITHOUT_FAULT
    return kind == "NOF" and not right and f"closed as {ticket.resolution}, though nothing was wrong"


def _time_limit(truth: CaseTruth, par: Par) -> float:
    """Return the minutes a case may take: those of its service level, or half as much again as the oracle needs."""
    priority = priorities(truth.network, truth.network.get(Ticket, TICKET))[0]
    return max(float(SERVICE_LEVELS_MIN[priority][1]), SLACK_FACTOR * par.minutes + 15.0)


def _minutes(network: Network, truth: CaseTruth) -> float:
    closed = network.get(Ticket, TICKET).closed_s
    return ((closed if closed is not None else network.now) - truth.network.now) / 60.0


def _not_prevented(network: Network, truth: CaseTruth, par: Par) -> str | bool:
    lost = loss(network, truth.network.now).user_minutes
    allowed = SLACK_FACTOR * par.lost_user_minutes + ALLOWED_LOSS
    return lost > allowed and f"{lost:.0f} user-minutes were lost in spite of the warning"


def _not_restrained(network: Network) -> str | bool:
    done = [item.tool for item in network.journal if not item.error and _is_action(item.tool, item.arguments)]
    return bool(done) and f"{done[0]} though nothing was wrong"


def _is_action(tool: str, arguments: dict[str, Any]) -> bool:
    if tool == "dispatch_technician":
        return not (arguments.get("task") == "inspection" and arguments.get("urgency") == "next_business_day")
    return tool in _ACTING


_ACTING = frozenset(
    {
        *("set_admin_state", "reset_unit", "reset_node", "set_parameter", "set_antenna_tilt", "set_neighbour_relation"),
        *("rollback_config", "switch_clock_source", "reroute_transport", "change_software", "activate_licence"),
        *("renew_certificate", "control_site_power", "activate_outage_compensation"),
    }
)


# --- diagnosis and repair ---------------------------------------------------------------------------------


def _diagnosis(truth: CaseTruth, submitted: tuple[Diagnosis, ...], *, strict: bool = False) -> float:
    """Return how well the last diagnosis names what is wrong, 0-1; a second submission costs something."""
    if not submitted:
        return 0.0
    last = submitted[-1]
    said = [(last.root_cause, last.element_id), *(_parted(text) for text in last.additional)]
    worth = [[_match(truth.network, defect, *item) for item in said] for defect in truth.defects]
    shares = [max(row) for row in worth]
    counted = {row.index(share) for row, share in zip(worth, shares, strict=True) if share > 0}
    there = (*truth.defects, *truth.harmless)
    others = [item for index, item in enumerate(said) if index not in counted]
    wrong = sum(all(_match(truth.network, defect, *item) < 0.5 for defect in there) for item in others)
    value = max(0.0, sum(shares) / len(shares) - EXTRA_CAUSE * wrong)
    return value if strict or len(submitted) < 2 else SECOND_TRY * value


def _parted(text: str) -> tuple[str, str]:
    code, _, element = text.partition("@")
    return code, element


def _match(network: Network, defect: Defect, code: str, element: str) -> float:
    """Return what a named cause is worth for a defect: all, half for family and element, 0.3 for the cause alone."""
    known = namings(network, defect)
    best = max((item.credit for item in known if (item.code, item.element_id) == (code, element)), default=0.0)
    if best:
        return best
    if code in {item.code for item in known}:
        return 0.3
    infos = fault_infos()
    related = code in infos and infos[code].family == infos[defect.code].family
    return 0.5 if related and element in {item.element_id for item in known} else 0.0


def restored_by_others(network: Network, truth: CaseTruth) -> bool:
    """Return whether all that third parties have to restore is restored, whatever the operator left undone.

    Args:
        network: The network at the end.
        truth: What is true about the case.
    """
    return all(dealt_with(network, defect) for defect in truth.defects if fault_infos()[defect.code].party)


def dealt_with(network: Network, defect: Defect) -> bool:
    """Return whether a cause is gone, needs no repair, or was handed over to who may take it."""
    if defect.code in SELF_HEALING or fault(defect.code).cleared(network, defect):
        return True
    info = fault_infos()[defect.code]
    cases = network.all(Escalation) if info.hand_over else ()
    return any(bool(case.accepted) and case.party in _takers(defect.code) for case in cases)


def _takers(code: str) -> tuple[str | None, ...]:
    return ("rf_planning", "transport_provider") if code == "transport_congestion" else (fault_infos()[code].party,)


def _service(network: Network, alone: Network, truth: CaseTruth) -> float:
    """Return the share of what customers would have lost that was recovered, or of causes where they lose nothing."""
    dealt = sum(dealt_with(network, defect) for defect in truth.defects) / max(len(truth.defects), 1)
    now, without = _lost_now(network), _lost_now(alone)
    if without < NOTICEABLE_USERS:
        return dealt if now < NOTICEABLE_USERS else 0.0
    if any(fault_infos()[defect.code].hand_over or defect.code in SELF_HEALING for defect in truth.defects):
        return dealt if now <= without + NOTICEABLE_USERS else 0.0
    return min(max(1.0 - now / without, 0.0), 1.0)


def _lost_now(network: Network) -> float:
    network.settle()
    view, healthy = network.epochs[-1].view, epochs.healthy_view(network)
    return float(lost_users(network.region, view, healthy, network.hour_of_week).sum())


def harmed(network: Network, alone: Network) -> list[str]:
    """Return cells that are out of service, though they would not be had nobody done anything."""
    out = [cell.id for cell in network.all(Cell) if not works.in_service(network, cell.id)]
    return [name for name in out if works.in_service(alone, name)]


# --- order ------------------------------------------------------------------------------------------------


def _verified(verdict: Verdict, ticket: Ticket, left: list[str]) -> float:
    checked = ticket.status is TicketStatus.CLOSED and not any(item.rule == "R21" for item in verdict.violations)
    return 0.5 * checked + 0.5 * (not left)


def left_behind(network: Network) -> list[str]:
    """Return open work, locks and temporary settings that the agent made and did not take back."""
    orders = (item for item in network.all(WorkOrder) if item.created_s >= network.start_s)
    found = [order.id for order in orders if order.state in (WorkState.EN_ROUTE, WorkState.ON_SITE)]
    locked = {entry.element_id for entry in network.changes if _locks(entry) and entry.time_s > network.start_s}
    cells = (network.objects.get(name) for name in sorted(locked))
    unlocked = AdministrativeState.UNLOCKED
    found += [cell.id for cell in cells if isinstance(cell, Cell) and cell.administrative_state is not unlocked]
    for record in network.changed_objects().values():
        if isinstance(record, PowerSystem) and mains_live(record) and _on_reserve(record):
            found.append(record.id)
        if isinstance(record, (Router, ClockUnit)) and _moved(network, record):
            found.append(record.id)
    return found


def _on_reserve(power: PowerSystem) -> bool:
    running = power.generator is not None and power.generator.state is GeneratorState.RUNNING
    return power.saver or running


def _moved(network: Network, record: Router | ClockUnit) -> bool:
    """Return whether the agent left a router on another path, or a clock on another source."""
    name = "active_path" if isinstance(record, Router) else "source"
    mine = any(
        entry.element_id == record.id and entry.parameter == name and entry.time_s > network.start_s
        for entry in network.changes
    )
    return mine and getattr(record, name) != getattr(network.region.records[record.id], name)


def _locks(entry: ConfigChange) -> bool:
    return entry.parameter == "administrative_state" and entry.new == AdministrativeState.LOCKED


# --- time, money, calls -----------------------------------------------------------------------------------


def cost_eur(network: Network) -> float:
    """Return what the agent has spent: visits, parts, fees."""
    orders = (item for item in network.all(WorkOrder) if item.created_s >= network.start_s)
    visits = sum(work_cost_eur(order, network.now) for order in orders)
    cases = (item for item in network.all(Escalation) if item.asked_s >= network.start_s)
    return round(visits + sum(PARTIES[case.party].fee_eur for case in cases), 2)


def _spent(episode: Episode, network: Network, par: Par, truth: CaseTruth) -> dict[str, float]:
    """Return the shares for time, money and calls."""
    minutes, allowed = _minutes(network, truth), max(_time_limit(truth, par), par.minutes + 1.0)
    late = max(0.0, minutes - par.minutes) / (allowed - par.minutes)
    cost = cost_eur(network)
    money = 2.0 - cost / par.cost_eur if par.cost_eur > 0 else 1.0 - cost / 500.0
    calls = 1.5 - len(episode.calls) / (2.0 * max(par.calls, 1))
    return {
        name: min(max(value, 0.0), 1.0) for name, value in (("time", 1.0 - late), ("money", money), ("calls", calls))
    }


def _share_of_calls(episode: Episode, par: Par) -> float:
    return min(max(1.5 - len(episode.calls) / (2.0 * max(par.calls, 1)), 0.0), 1.0)


def par_of(episode: Episode) -> Par:
    """Return what the oracle needs for the case of an episode, under the policy of its environment."""
    policy = str(episode.environment.options.get("policy", "train-1"))
    noted = episode.task.data.get("par")
    if noted is not None and policy == "train-1":
        return Par(*noted)
    key = f"{episode.task.id}/{policy}"
    if key not in _PARS:
        from telegym.envs.base_station.players.reference import reference_play

        _PARS[key] = measured_par(reference_play(episode.task, policy))
        while len(_PARS) > _KEPT:
            _PARS.popitem(last=False)
    return _PARS[key]


def measured_par(played: Episode) -> Par:
    """Return what a finished episode took."""
    network = played.world
    assert isinstance(network, Network)
    if played.task.data["kind"] == "QNA":
        return Par(len(played.calls), round(network.minutes, 3), 0.0, 0.0)
    truth = truth_of(played.task.data)
    lost = loss(network, truth.network.now).user_minutes
    return Par(len(played.calls), round(_minutes(network, truth), 3), cost_eur(network), lost)
