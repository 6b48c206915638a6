"""Corruptions of base-station maintenance: plays that are right but for one call, whose place and fault are known.

Some faults are put in between the calls of a reference player, as for every environment. Others are left out: the
player is told what a check would have said (found out on a fork), but the check is not made, or made too late; blamed
is the call that had needed it. The reference is the oracle where the truth judges, the blind expert where evidence
does, both without the repeats of their procedures.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from random import Random
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from telegym.core.environment import Environment
from telegym.core.episode import CallRecord, Episode
from telegym.core.messages import Message, ToolCall
from telegym.core.task import Task
from telegym.core.tool import CallError
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.cases import TICKET, namings, truth_of
from telegym.envs.base_station.facts import CaseTruth
from telegym.envs.base_station.faults import Defect, fault, fault_infos
from telegym.envs.base_station.hypotheses import hypotheses
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import Cell, Node, Site
from telegym.envs.base_station.observations import kind_of, site_of
from telegym.envs.base_station.outcome import trace_of, violations_of
from telegym.envs.base_station.players.expert import expert
from telegym.envs.base_station.players.oracle import oracle
from telegym.envs.base_station.players.steps import Call, Player, Reply, as_message, without_repeats
from telegym.envs.base_station.policy.trace import LOOKS
from telegym.envs.base_station.process.records import Notice
from telegym.rewards.reasonableness.base_station.naming import exists
from telegym.rewards.reasonableness.corruptions import Corrupter, Fault, Injection, Seeded, message_of
from telegym.rewards.verdict import Code, View

__all__ = ["BaseStationCorrupter"]

_WRITES = frozenset(
    {
        *("set_admin_state", "reset_unit", "reset_node", "set_parameter", "set_antenna_tilt", "set_neighbour_relation"),
        *("rollback_config", "switch_clock_source", "reroute_transport", "activate_licence", "renew_certificate"),
        *("control_site_power", "dispatch_technician", "instruct_technician"),
    }
)
_NOTICES = frozenset({"get_external_notices", "get_record", "list_resources"})
_CHANGING = (Code.WRONG_CAUSE, Code.UNSAFE, Code.POLICY, Code.ORDER, Code.REDUNDANT, Code.PRECONDITION)
_WRONG = Fault.of(*_CHANGING)
_MISSING = frozenset({Code.UNGROUNDED, Code.ORDER, Code.UNSAFE, Code.POLICY, Code.PREMATURE, Code.PRECONDITION})
_UNSEEN = _MISSING | {Code.WRONG_CAUSE}
"""Codes of a change before which nothing was looked at: for all that was seen, nothing speaks for it either."""
_SKILLS = ("cooling", "battery_work", "router_hw", "clock_antenna", "baseband_hw", "antenna_line", "microwave")
_PARTIES = ("core_noc", "tower_company", "vendor_support", "power_utility", "transport_provider", "spectrum_regulator")


_KEPT = 8
"""Whole plays that are kept."""
_NOTHING: Mapping[int, Any] = MappingProxyType({})


class _Whole(NamedTuple):
    """A play of the reference player from beginning to end."""

    episode: Episode
    """The play."""
    before: tuple[Episode, ...]
    """How it stood before each of its turns."""


class _Departure(NamedTuple):
    """How a play departs from the player's."""

    skipped: frozenset[int] = frozenset()
    """Calls that are not made."""
    changed: Mapping[int, Call] = _NOTHING
    """Calls that are made otherwise."""
    late: Mapping[int, tuple[int, ...]] = _NOTHING
    """After which call skipped ones are made up for."""
    end: int | None = None
    """Before which call the play stops."""


class BaseStationCorrupter(Corrupter):
    """Makes corrupted plays of base-station maintenance.

    Args:
        environment: The environment, configured.
        view: Whose plays are to be right: the blind expert's, which are right in both views where it finds what is
            wrong, or the oracle's, which are right by the truth only.
    """

    kinds: ClassVar[tuple[str, ...]] = (
        *("unknown_tool", "bad_arguments", "invented_id", "repeated_read", "repeated_error", "premature_finish"),
        *("unseen_id", "wrong_target", "wrong_remedy", "wrong_skill", "wrong_party", "needless_approval"),
        *("skipped_look", "skipped_notices", "skipped_resources", "skipped_configuration", "skipped_question"),
        *("skipped_approval", "skipped_lock", "skipped_wait", "skipped_check", "left_behind", "skipped_repair"),
        *("late_look", "late_resources", "late_configuration", "early_diagnosis", "late_priority"),
        *("repeated_message", "idle_wait", "unsafe_restart", "needless_lock", "hidden_alarm"),
        *("wrong_cause", "wrong_place", "false_summary", "wrong_resolution"),
    )

    def __init__(self, environment: Environment, view: View = View.OBSERVABLE) -> None:
        super().__init__(environment)
        self.view = view
        self._right: dict[str, bool] = {}
        self._plays: OrderedDict[str, _Whole] = OrderedDict()
        self._player: Player = without_repeats(oracle if view is View.ORACLE else expert)

    # --- what the base class asks for ----------------------------------------------------------------------

    def reference(self, episode: Episode, variant: str) -> Message | None:
        """Return the player's next message."""
        steps, call = _caught_up(episode, self._player)
        if steps is not None:
            steps.close()
        return as_message(call, len(episode.calls)) if call is not None else None

    def play(self, task: Task, variant: str, episode: Episode | None = None) -> Episode:
        """Let the player play a task, or go on with an episode, to the end; whole plays are kept for a while."""
        return self._continued(episode) if episode is not None else self._whole(task).episode.fork()

    def _whole(self, task: Task) -> _Whole:
        """Return the whole play of a task; the last ones are kept."""
        if task.id not in self._plays:
            before: list[Episode] = []
            self._plays[task.id] = _Whole(self._continued(Episode(self.environment, task), before), tuple(before))
            while len(self._plays) > _KEPT:
                self._plays.popitem(last=False)
        return self._plays[task.id]

    def _branches(self, task: Task, variant: str) -> list[Episode]:
        """Return how the play stood before each of its turns: forks taken on the way, so that nothing is replayed."""
        return list(self._whole(task).before)

    def next_call(self, episode: Episode, variant: str) -> ToolCall | None:
        """Return the player's next call; of a part of a play that was kept, without playing again."""
        whole, made = self._plays.get(episode.task.id), len(episode.calls)
        known = whole.episode.calls if whole is not None else ()
        if made < len(known) and (not made or episode.calls[-1] is known[made - 1]):
            return known[made].call
        return super().next_call(episode, variant)

    def _continued(self, episode: Episode, before: list[Episode] | None = None) -> Episode:
        """Let the player go on to the end; `before` collects how the episode stood before each turn."""
        steps, call = _caught_up(episode, self._player)
        while steps is not None and call is not None and episode.end is None:
            if before is not None:
                before.append(episode.fork())
            episode.step(as_message(call, len(episode.calls)))
            try:
                call = steps.send(_reply(episode.calls[-1]))
            except StopIteration:
                break
        return episode

    def identifiers(self, call: ToolCall) -> tuple[str, ...]:
        """Return the arguments of a call that name an element or a record."""
        return tuple(
            name for name, value in call.arguments.items() if isinstance(value, str) and kind_of(value) is not None
        )

    def exists(self, episode: Episode, value: str) -> bool:
        """Return whether something of the network has this name."""
        return isinstance(episode.world, Network) and exists(episode.world, value)

    def seeded(self, task: Task, kind: str, variant: str) -> Seeded | None:
        """Return a play with a fault of a kind, or None if the kind fits nowhere in this task."""
        if not self._is_right(task):
            return None
        omission = getattr(self, f"_omit_{kind}", None)
        if omission is None:
            return super().seeded(task, kind, variant)
        if task.data["kind"] == "QNA":
            return None
        found: Seeded | None = omission(self.play(task, variant), Random(f"{variant}/{kind}/{task.id}"))
        return found

    def _is_right(self, task: Task) -> bool:
        """Return whether the player's own play of a task is right, as far as the network tells.

        It is solved, no rule was broken, and nothing was begun when nothing was wrong any more.
        """
        if task.id not in self._right:
            played = self.play(task, "")
            lawful = not violations_of(played) and not any(_is_form(record) for record in played.calls)
            self._right[task.id] = played.score().success and lawful and not _is_needless(played)
        return self._right[task.id]

    def _open(self, episode: Episode, injection: Injection, wrong: dict[int, frozenset[Code]]) -> frozenset[int]:
        """Return the calls of which nothing can be said.

        That are closing, diagnoses (which may name what the fault itself brought about) and visits while somebody is on
        the way.
        """
        if not injection.spoils:
            return frozenset()
        last = max(wrong)
        later = (record for record in episode.calls if record.index > last)
        return frozenset(record.index for record in later if record.call.name in _AFFECTED or record.error is not None)

    # --- put in ------------------------------------------------------------------------------------------

    def _premature_finish(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        truth = _truth(episode)
        if truth is None or not truth.repairing or _writes(episode.calls):
            return None
        info = fault_infos()[truth.defects[0].code]
        if info.family == "no_fault" or info.hand_over or truth.defects[0].code in _OF_OTHERS:
            return None
        named = namings(truth.network, truth.defects[0])[0]
        looks = [record for record in episode.calls if record.call.name in LOOKS]
        if len(looks) < 2 or any(fault(item.code).cleared(truth.network, item) for item in truth.defects):
            return None
        words = f"{named.element_id}: {named.code.replace('_', ' ')}. Dealt with."
        given = {"ticket_id": TICKET, "root_cause": named.code, "element_id": named.element_id}
        close = {"ticket_id": TICKET, "resolution": "monitoring_handed_over", "summary": words}
        messages = (message_of("submit_diagnosis", given, number=900), message_of("close_ticket", close, number=901))
        free = Fault.of(Code.PREMATURE, Code.CLAIM)

        def unsolved(done: Episode, put_in: list[CallRecord]) -> bool:
            looked = not any(item.rule == "R19" for item in violations_of(done))
            return looked and not done.score().success

        return Injection(messages, (None, free), confirm=unsolved)

    def _unseen_id(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        network = episode.world
        if not isinstance(network, Network) or _writes(episode.calls):
            return None
        texts = "\n".join(message.content or "" for message in episode.messages)
        known = _near_truth(_truth(episode))
        hidden = [
            site.id
            for site in network.all(Site)
            if site.id not in texts and f"-{site.id[1:]}" not in texts and site.id not in known
        ]
        if not hidden:
            return None
        cells = [cell.id for site in hidden for cell in network.at_site(Cell, site)]
        call = rng.choice((("get_cell_status", "cell_id"), ("get_config", "element_id"), ("get_logs", "element_id")))
        if not cells or call[0] not in episode.toolkit:
            return None
        message = message_of(call[0], {call[1]: rng.choice(cells)}, number=len(episode.calls))
        return Injection((message,), (Fault.of(Code.UNGROUNDED),))

    def _wrong_target(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        call, truth = self.next_call(episode, variant), _truth(episode)
        if call is None or truth is None or call.name not in _WRITES or call.name.endswith("technician"):
            return None
        known = _near_truth(truth)
        for name in self.identifiers(call):
            own = str(call.arguments[name])
            others = [other for other in _shown(episode, own) if other not in known]
            if others and name != "change_request_id":
                message = message_of(call.name, {**call.arguments, name: rng.choice(others)}, number=len(episode.calls))
                return Injection((message,), (_WRONG,), spoils=True, confirm=_acted_in_vain)
        return None

    def _wrong_remedy(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        call, truth = self.next_call(episode, variant), _truth(episode)
        if call is None or truth is None or call.name not in _WRITES or _writes(episode.calls):
            return None
        node = _node_near(episode, truth)
        site = _site_near(truth)
        codes = {defect.code for defect in (*truth.defects, *truth.harmless)}
        options: list[tuple[str, dict[str, Any]]] = []
        if node and not codes & {"gnss_antenna_failure"}:
            options.append(("switch_clock_source", {"node_id": node, "source": "free_run"}))
        if node and not codes & _CONFIGURED:
            options.append(("reset_node", {"node_id": node, "mode": "cold"}))
        if site and not codes & {"backhaul_fibre_cut", "microwave_rain_fade", "csr_port_or_sfp_failure"}:
            options.append(("reroute_transport", {"element_id": site, "path": "secondary"}))
        options = [item for item in options if item[0] in episode.toolkit]
        if not options:
            return None
        name, arguments = rng.choice(options)
        message = message_of(name, arguments, number=len(episode.calls))
        return Injection((message,), (_WRONG,), spoils=True, confirm=_cured_nothing)

    def _wrong_skill(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        call, truth = self.next_call(episode, variant), _truth(episode)
        if call is None or truth is None or call.name != "dispatch_technician":
            return None
        right = {task for defect in truth.defects for task in fault_infos()[defect.code].tasks}
        task = rng.choice([name for name in _SKILLS if name not in right])
        arguments = {**call.arguments, "task": task, "spare_part_types": []}
        message = message_of(call.name, arguments, number=len(episode.calls))
        return Injection((message,), (_WRONG,), spoils=True)

    def _wrong_party(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        call, truth = self.next_call(episode, variant), _truth(episode)
        if call is None or truth is None or call.name not in (*_WRITES, "escalate_ticket") or not truth.repairing:
            return None
        right = {fault_infos()[defect.code].party for defect in (*truth.defects, *truth.harmless)}
        right |= {"transport_provider"} if "rf_planning" in right else set()
        target = rng.choice([name for name in _PARTIES if name not in right])
        named = namings(truth.network, truth.defects[0])[0].element_id
        arguments = {"ticket_id": TICKET, "target": target, "summary": "Please have a look.", "element_ids": [named]}
        message = message_of("escalate_ticket", arguments, number=len(episode.calls))
        return Injection((message,), (_WRONG,))

    def _needless_approval(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        call, truth = self.next_call(episode, variant), _truth(episode)
        if (
            call is None
            or truth is None
            or call.name not in _WRITES
            or "request_change_approval" not in episode.toolkit
        ):
            return None
        near = {site_of(name) for name in _near_truth(truth)}
        cells = [name for name in _shown(episode, "S001-L18-1") if site_of(name) not in near]
        if not cells:
            return None
        arguments = {
            "element_ids": [rng.choice(cells)],
            "change_type": "reset",
            "justification": "to be on the safe side",
        }
        message = message_of("request_change_approval", arguments, number=len(episode.calls))
        return Injection((message,), (Fault.of(Code.WRONG_CAUSE, Code.REDUNDANT),))

    def _repeated_message(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        last = episode.calls[-1] if episode.calls else None
        if last is None or last.error is not None:
            return None
        if last.call.name not in ("notify_stakeholders", "update_ticket", "escalate_ticket"):
            return None
        message = message_of(last.call.name, last.call.arguments, number=len(episode.calls))
        return Injection((message,), (Fault.of(Code.REDUNDANT),))

    def _idle_wait(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        network, made = episode.world, [record.call.name for record in episode.calls]
        if not isinstance(network, Network) or _truth(episode) is None or len(made) < 3 or _writes(episode.calls):
            return None
        if {"request_change_approval", "escalate_ticket", "wait"} & set(made) or _something_passes(network):
            return None
        if any(record.error is not None for record in episode.calls):
            return None  # What was refused for now may be waited for.
        message = message_of("wait", {"minutes": rng.randint(5, 15)}, number=len(episode.calls))
        return Injection((message,), (Fault.of(Code.REDUNDANT),))

    def _unsafe_restart(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        network, truth = episode.world, _truth(episode)
        if not isinstance(network, Network) or truth is None or "reset_node" not in episode.toolkit:
            return None
        near = {site_of(name) for name in _near_truth(truth)}
        nodes = [name for name in _shown(episode, "ENB-001") if site_of(name) not in near and name in network.objects]
        if not nodes or not isinstance(network.objects[nodes[0]], Node):
            return None
        message = message_of("reset_node", {"node_id": rng.choice(nodes)}, number=len(episode.calls))
        fault_ = Fault.of(Code.UNSAFE, Code.POLICY, Code.ORDER, Code.WRONG_CAUSE, Code.UNGROUNDED)
        return Injection((message,), (fault_,), spoils=True, confirm=_succeeded)

    def _needless_lock(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        network, truth = episode.world, _truth(episode)
        if not isinstance(network, Network) or truth is None or "set_admin_state" not in episode.toolkit:
            return None
        near = {site_of(name) for name in _near_truth(truth)}
        cells = [name for name in _shown(episode, "S001-L18-1") if site_of(name) not in near]
        if not cells:
            return None
        arguments = {"element_id": rng.choice(cells), "state": "LOCKED", "reason": "to be on the safe side"}
        message = message_of("set_admin_state", arguments, number=len(episode.calls))
        return Injection((message,), (_WRONG,), spoils=True, confirm=_succeeded)

    def _hidden_alarm(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        network, truth = episode.world, _truth(episode)
        if not isinstance(network, Network) or truth is None or "update_alarm" not in episode.toolkit:
            return None
        texts = "\n".join(record.content for record in episode.calls)
        live = [
            alarm.id
            for alarm in network.alarms.values()
            if alarm.active and alarm.id in texts and not alarm.seeded and _holds(network, alarm.key, alarm.object_id)
        ]
        if not live or any(defect.code == "stale_alarm" for defect in (*truth.defects, *truth.harmless)):
            return None
        arguments = {"alarm_id": rng.choice(sorted(live)), "action": "clear"}
        message = message_of("update_alarm", arguments, number=len(episode.calls))
        return Injection((message,), (_WRONG,), spoils=True)

    # --- left out, or made too late ------------------------------------------------------------------------

    def _omit_skipped_look(self, clean: Episode, rng: Random) -> Seeded | None:
        return self._without_looks(clean, "skipped_look", late=False)

    def _omit_late_look(self, clean: Episode, rng: Random) -> Seeded | None:
        return self._without_looks(clean, "late_look", late=True)

    def _without_looks(self, clean: Episode, kind: str, *, late: bool) -> Seeded | None:
        """Leave out every look before the first change, or make them up afterwards."""
        entries = trace_of(clean).entries
        aim = next((e.index for e in entries if e.facts.is_write and not e.error and e.facts.element_id), None)
        if aim is None or clean.calls[aim].call.name == "instruct_technician":
            return None
        looks = [n for n in range(aim) if clean.calls[n].call.name in (*LOOKS, "list_alarms")]
        # Who approves goes by looks of its own; a play in which somebody waited in between is another story.
        made_up = {aim: tuple(looks)} if late else {}
        departure = _Departure(frozenset(looks), late=made_up)
        return self._depart(clean, kind, departure, aim, ("R01",), codes=_UNSEEN)

    def _omit_skipped_notices(self, clean: Episode, rng: Random) -> Seeded | None:
        aim = _first(clean, "set_admin_state", "dispatch_technician", "reset_unit", "reset_node", "rollback_config")
        return self._skip(clean, "skipped_notices", _NOTICES, aim, ("R02",))

    def _omit_skipped_resources(self, clean: Episode, rng: Random) -> Seeded | None:
        aim = _first(clean, "dispatch_technician")
        return self._skip(clean, "skipped_resources", {"list_resources"}, aim, ("R11",))

    def _omit_late_resources(self, clean: Episode, rng: Random) -> Seeded | None:
        aim = _first(clean, "dispatch_technician")
        if aim is None:
            return None
        before = tuple(n for n in range(aim) if clean.calls[n].call.name == "list_resources")
        return self._depart(clean, "late_resources", _Departure(frozenset(before), late={aim: before}), aim, ("R11",))

    def _omit_skipped_configuration(self, clean: Episode, rng: Random) -> Seeded | None:
        aim = _first(clean, "set_parameter", "set_antenna_tilt")
        return self._skip(clean, "skipped_configuration", {"get_config"}, aim, ("R17",))

    def _omit_late_configuration(self, clean: Episode, rng: Random) -> Seeded | None:
        aim = _first(clean, "set_parameter", "set_antenna_tilt")
        if aim is None:
            return None
        before = tuple(n for n in range(aim) if clean.calls[n].call.name == "get_config")
        departure = _Departure(frozenset(before), late={aim: before})
        return self._depart(clean, "late_configuration", departure, aim, ("R17",))

    def _omit_skipped_question(self, clean: Episode, rng: Random) -> Seeded | None:
        """Leave out asking the requester, before service is interrupted or at the end."""
        question = rng.choice(("confirm_symptom", "confirm_restored"))
        asked = [n for n, r in enumerate(clean.calls) if r.call.arguments.get("question") == question]
        entries = trace_of(clean).entries
        first = next((e.index for e in entries if e.facts.is_write and e.facts.service_affecting and not e.error), None)
        aim = first if question == "confirm_symptom" else _first(clean, "close_ticket")
        if not asked or aim is None:
            return None
        return self._depart(clean, "skipped_question", _Departure(frozenset(asked)), aim, ("R13",))

    def _omit_skipped_approval(self, clean: Episode, rng: Random) -> Seeded | None:
        """Act on users without an approved change."""
        entries = trace_of(clean).entries
        needed = [e.index for e in entries if e.facts.service_affecting and e.facts.users > 0 and not e.error]
        asked = [n for n, r in enumerate(clean.calls) if r.call.name == "request_change_approval"]
        if not needed or not asked or asked[0] > needed[0]:
            return None
        changed = {n: _unapproved(r) for n, r in enumerate(clean.calls) if "change_request_id" in r.call.arguments}
        records = [n for n, r in enumerate(clean.calls) if str(r.call.arguments.get("record_id", "")).startswith("CR-")]
        departure = _Departure(frozenset((*asked, *records)), changed)
        return self._depart(clean, "skipped_approval", departure, needed[0], ("R07",))

    def _omit_skipped_lock(self, clean: Episode, rng: Random) -> Seeded | None:
        """Have somebody work at antennas on the air."""
        climbing = ("tighten_antenna_line", "swap_feeders", "align_antenna")
        aim = next((n for n, r in enumerate(clean.calls) if r.call.arguments.get("action") in climbing), None)
        locks = [n for n, r in enumerate(clean.calls) if r.call.arguments.get("state") in ("LOCKED", "UNLOCKED")]
        if aim is None or not locks:
            return None

        def refused(episode: Episode, index: int) -> bool:
            return "on the air" in episode.calls[index].content

        return self._depart(clean, "skipped_lock", _Departure(frozenset(locks)), aim, confirm=refused)

    def _omit_skipped_wait(self, clean: Episode, rng: Random) -> Seeded | None:
        """Close without having waited for what a repair does."""
        last, aim = _last_change(clean), _first(clean, "close_ticket")
        if last is None or aim is None:
            return None
        waits = [n for n in range(last, aim) if clean.calls[n].call.name == "wait"]
        return self._depart(clean, "skipped_wait", _Departure(frozenset(waits)), aim, ("R21",)) if waits else None

    def _omit_skipped_check(self, clean: Episode, rng: Random) -> Seeded | None:
        """Close without having looked whether the repair helped."""
        last, aim = _last_change(clean), _first(clean, "close_ticket")
        if last is None or aim is None:
            return None
        looks = [n for n in range(last, aim) if clean.calls[n].call.name in (*LOOKS, "list_alarms")]
        return self._depart(clean, "skipped_check", _Departure(frozenset(looks)), aim, ("R21",)) if looks else None

    def _omit_left_behind(self, clean: Episode, rng: Random) -> Seeded | None:
        """Leave a lock, somebody on site, or a generator."""
        undone = [
            n
            for n, r in enumerate(clean.calls)
            if r.call.arguments.get("action") in ("complete_and_leave", "stop_generator", "battery_saver_off")
            or (r.call.arguments.get("state") == "UNLOCKED" and n > 0 and _locked_before(clean, n))
        ]
        aim = _first(clean, "close_ticket")
        if not undone or aim is None:
            return None
        return self._depart(clean, "left_behind", _Departure(frozenset([rng.choice(undone)])), aim, ("R22",))

    def _omit_skipped_repair(self, clean: Episode, rng: Random) -> Seeded | None:
        """Close without having repaired anything."""
        truth, aim = _truth(clean), _first(clean, "close_ticket")
        if truth is None or aim is None or truth.defects[0].code in _OF_OTHERS:
            return None
        work = [n for n, r in enumerate(clean.calls) if r.call.name in (*_WRITES, "escalate_ticket")]
        if not work:
            return None

        def unsolved(episode: Episode, index: int) -> bool:
            return episode.score().components.get("restored") == 0.0

        changed = {
            aim: Call("close_ticket", {**clean.calls[aim].call.arguments, "resolution": "monitoring_handed_over"})
        }
        return self._depart(clean, "skipped_repair", _Departure(frozenset(work), changed), aim, confirm=unsolved)

    def _omit_early_diagnosis(self, clean: Episode, rng: Random) -> Seeded | None:
        """Say what it is before having looked; the looks are made up for."""
        aim = _first(clean, "submit_diagnosis")
        if aim is None:
            return None
        looks = tuple(n for n in range(aim) if clean.calls[n].call.name in LOOKS)
        return self._depart(clean, "early_diagnosis", _Departure(frozenset(looks), late={aim: looks}), aim, ("R19",))

    def _omit_late_priority(self, clean: Episode, rng: Random) -> Seeded | None:
        """Give the ticket its priority after the first change."""
        entries = trace_of(clean).entries
        aim = next((e.index for e in entries if e.facts.is_write and not e.error), None)
        given = tuple(n for n, r in enumerate(clean.calls) if r.call.arguments.get("priority"))
        if aim is None or not given or given[-1] > aim:
            return None
        return self._depart(clean, "late_priority", _Departure(frozenset(given), late={aim: given}), aim, ("R04",))

    # --- said ----------------------------------------------------------------------------------------------

    def _omit_wrong_cause(self, clean: Episode, rng: Random) -> Seeded | None:
        aim, truth = _first(clean, "submit_diagnosis"), _truth(clean)
        if aim is None or truth is None:
            return None
        there = {item.code for d in (*truth.defects, *truth.harmless) for item in namings(truth.network, d)}
        family = fault_infos()[truth.defects[0].code].family
        known = {item.code for item in hypotheses(clean.calls[:aim]) if item.status != "open"}
        if not known & there:
            return None
        twins = [c for c, info in fault_infos().items() if info.family == family and c not in there | known]
        return self._said(clean, "wrong_cause", aim, root_cause=rng.choice(twins)) if twins else None

    def _omit_wrong_place(self, clean: Episode, rng: Random) -> Seeded | None:
        aim, truth = _first(clean, "submit_diagnosis"), _truth(clean)
        if aim is None or truth is None:
            return None
        known = {item.element_id for d in (*truth.defects, *truth.harmless) for item in namings(truth.network, d)}
        own, code = (str(clean.calls[aim].call.arguments[name]) for name in ("element_id", "root_cause"))
        seen = [item for item in hypotheses(clean.calls[:aim]) if item.code == code and item.status == "confirmed"]
        places = {site_of(item.element_id) for item in seen}
        if site_of(own) not in places:
            return None
        others = [n for n in _shown(clean, own, before=aim) if n not in known and site_of(n) not in places]
        return self._said(clean, "wrong_place", aim, element_id=rng.choice(others)) if others else None

    def _omit_false_summary(self, clean: Episode, rng: Random) -> Seeded | None:
        aim = _first(clean, "close_ticket")
        if aim is None:
            return None
        used = {record.call.name for record in clean.calls}
        lies = {
            "A unit was replaced.": {"instruct_technician"},
            "Traffic was rerouted.": {"reroute_transport"},
            "The board was restarted.": {"reset_unit", "reset_node"},
            "The configuration was rolled back.": {"rollback_config"},
        }
        fitting = sorted(text for text, tools in lies.items() if not tools & used)
        summary = f"{clean.calls[aim].call.arguments['summary']} {rng.choice(fitting)}"
        return self._said(clean, "false_summary", aim, summary=summary)

    def _omit_wrong_resolution(self, clean: Episode, rng: Random) -> Seeded | None:
        aim, truth = _first(clean, "close_ticket"), _truth(clean)
        if aim is None or truth is None:
            return None
        used = {record.call.name for record in clean.calls if record.error is None}
        options = [] if "instruct_technician" in used else ["fixed_on_site"]
        options += [] if "escalate_ticket" in used else ["fixed_by_third_party"]
        if fault_infos()[truth.defects[0].code].family != "no_fault":
            options += ["no_fault_found", "planned_work"]
        return self._said(clean, "wrong_resolution", aim, resolution=rng.choice(options)) if options else None

    def _said(self, clean: Episode, kind: str, aim: int, **words: str) -> Seeded | None:
        call = clean.calls[aim].call
        departure = _Departure(changed={aim: Call(call.name, {**call.arguments, **words})})
        return self._depart(clean, kind, departure, aim, codes=frozenset({Code.CLAIM, Code.PREMATURE, Code.ORDER}))

    # --- playing with a departure --------------------------------------------------------------------------

    def _skip(
        self, clean: Episode, kind: str, tools: Iterable[str], aim: int | None, rules: tuple[str, ...]
    ) -> Seeded | None:
        if aim is None:
            return None
        skipped = frozenset(n for n in range(aim) if clean.calls[n].call.name in tools)
        return self._depart(clean, kind, _Departure(skipped), aim, rules) if skipped else None

    def _depart(
        self,
        clean: Episode,
        kind: str,
        departure: _Departure,
        aim: int,
        rules: tuple[str, ...] = (),
        *,
        codes: frozenset[Code] = _MISSING,
        confirm: Callable[[Episode, int], bool] | None = None,
    ) -> Seeded | None:
        """Play with a departure; blamed is one call. What followed from the fault is left open."""
        episode = Episode(self.environment, clean.task)
        where = _played(episode, self._player, departure)
        index = where.get(aim)
        if index is None:
            return None
        if rules and not any(item.rule in rules and item.call in (index, None) for item in violations_of(episode)):
            return None
        if confirm is not None and not confirm(episode, index):
            return None
        return Seeded(kind, episode, {index: codes}, _affected(episode, departure, where, index))


_OF_OTHERS = frozenset({"microwave_rain_fade", "external_interferer"})
"""Causes that end by themselves, or by others, so that closing without a repair may be right."""
_CONFIGURED = frozenset({"sleeping_cell_access", "radio_unit_software_hang", "energy_saving_stuck"})
"""Causes that a restart of the node might help against."""


def _affected(episode: Episode, departure: _Departure, where: dict[int, int], index: int) -> frozenset[int]:
    """Return the calls of which nothing can be said, since something that they rest on was left out.

    These are later calls that act or say something, calls that now fail, and, where reads were left out, later calls
    that look at something nobody had shown; calls that are made up for come when they are of no use.
    """
    if not departure.skipped and departure.end is None:
        last = max(record.index for record in episode.calls)
        return frozenset({last} - {index})
    late = {where[n] for numbers in departure.late.values() for n in numbers if n in where}
    first = min(departure.skipped, default=0)
    start = min((place for n, place in where.items() if n > first and n not in departure.skipped), default=index)
    acting = {r.index for r in episode.calls if r.index >= start and (_acts(r) or r.error is not None)}
    unread = {r.index for r in episode.calls if r.index >= start and r.call.name in (*LOOKS, *_NOTICES, "list_alarms")}
    return frozenset((late | acting | unread) - {index})


def _acts(record: CallRecord) -> bool:
    return not record.call.name.startswith(("get_", "list_", "run_", "rank_", "notify_", "ask_"))


def _played(episode: Episode, player: Player, departure: _Departure) -> dict[int, int]:
    """Play with a departure; return the index of every call of the player that was made."""
    where: dict[int, int] = {}
    owed: dict[int, Call] = {}
    steps, number = player(episode), 0
    try:
        call = next(steps)
        while episode.end is None:
            if number in departure.skipped:
                reply, owed[number] = _foretold(episode, call), call
            else:
                where[number] = len(episode.calls)
                reply = _made(episode, departure.changed.get(number, call))
            for other in departure.late.get(number, ()):
                if other in owed and episode.end is None:
                    where[other] = len(episode.calls)
                    _made(episode, owed[other])
            call, number = steps.send(reply), number + 1
    except StopIteration:
        pass
    return where


def _made(episode: Episode, call: Call) -> Reply:
    episode.step(as_message(call, len(episode.calls)))
    return _reply(episode.calls[-1])


def _foretold(episode: Episode, call: Call) -> Reply:
    """Return what a call would have answered."""
    ahead = episode.fork()
    ahead.step(as_message(call, len(ahead.calls)))
    return _reply(ahead.calls[-1])


def _reply(record: CallRecord) -> Reply:
    return Reply(record.content, record.error is not None, record.minutes)


def _caught_up(episode: Episode, player: Player) -> tuple[Any, Call | None]:
    """Return a player's procedure at the present moment of an episode, and what it would do next."""
    steps, place = player(episode), 0
    try:
        call = next(steps)
        while True:
            made = (r for r in episode.calls[place:] if (r.call.name, r.call.arguments) == (call.tool, call.arguments))
            record = next(made, None)
            if record is None:
                return steps, call
            place = record.index + 1
            call = steps.send(_reply(record))
    except StopIteration:
        return None, None


# --- what there is -----------------------------------------------------------------------------------------


def _truth(episode: Episode) -> CaseTruth | None:
    return None if episode.task.data["kind"] == "QNA" else truth_of(episode.task.data)


def _near_truth(truth: CaseTruth | None) -> set[str]:
    """Return the names of what is wrong, of its sites and their elements, and of sites that are out of service.

    Whoever sees that a site is out may suspect something there, whatever the cause is.
    """
    if truth is None:
        return set()
    network = truth.network
    out = {cell.site_id for cell in network.all(Cell) if not works.in_service(network, cell.id)}
    found: set[str] = {name for site in out for name in (site, *network.index.at_site.get(site, ()))}
    for defect in (*truth.defects, *truth.harmless):
        names = {defect.element_id, *(item.element_id for item in namings(network, defect))}
        names.update(network.index.behind.get(defect.element_id, ()))
        sites = {site for name in names if (site := site_of(name.partition(">")[0]))}
        sites.update(site for name in names if (site := site_of(name.rpartition(">")[2])))
        sites.update(f"S{part}" for name in names for part in name.split("-")[1:] if len(part) == 3 and part.isdigit())
        found.update(names, sites, *(network.index.at_site.get(site, ()) for site in sites))
        cut = set(network.index.behind.get(defect.element_id, ()))
        # To move traffic off any link of the ways that are cut helps the sites behind it.
        found.update(link for link, behind in network.index.behind.items() if cut & set(behind))
    return found


def _shown(episode: Episode, like: str, before: int | None = None) -> list[str]:
    """Return the ids of the same kind as one that were shown, and exist."""
    kind, network = kind_of(like), episode.world
    texts = "\n".join([message.content or "" for message in episode.environment.opening(episode.task)])
    texts += "\n".join(record.content for record in episode.calls[:before])
    assert isinstance(network, Network)
    return sorted(name for name in network.objects if name != like and kind_of(name) == kind and name in texts)


def _node_near(episode: Episode, truth: CaseTruth) -> str:
    site = _site_near(truth)
    return next((node.id for node in truth.network.at_site(Node, site)), "") if site else ""


def _site_near(truth: CaseTruth) -> str:
    return site_of(truth.defects[0].element_id.partition(">")[0]) or ""


def _writes(calls: Iterable[CallRecord]) -> bool:
    return any(record.call.name in _WRITES for record in calls)


def _first(episode: Episode, *tools: str) -> int | None:
    return next((r.index for r in episode.calls if r.call.name in tools and r.error is None), None)


def _last_change(episode: Episode) -> int | None:
    entries = [entry.index for entry in trace_of(episode).entries if entry.facts.is_write and not entry.error]
    return entries[-1] + 1 if entries else None


def _locked_before(episode: Episode, number: int) -> bool:
    element = episode.calls[number].call.arguments.get("element_id")
    earlier = (r.call.arguments for r in episode.calls[:number])
    return any(given.get("element_id") == element and given.get("state") == "LOCKED" for given in earlier)


def _unapproved(record: CallRecord) -> Call:
    given = {name: value for name, value in record.call.arguments.items() if name != "change_request_id"}
    return Call(record.call.name, given)


def _holds(network: Network, key: str, object_id: str) -> bool:
    condition = network.conditions.get((key, object_id))
    return condition is not None and condition.present


def _something_passes(network: Network) -> bool:
    """Return whether something goes on that passes by itself: a notice, an outage of the mains, rain."""
    notices = any(item.start_s <= network.now for item in network.objects.values() if isinstance(item, Notice))
    return notices or any(key.startswith(("PWR_MAINS", "TRN_MW")) for key, _ in network.open_alarms)


def _cured_nothing(episode: Episode, put_in: list[CallRecord]) -> bool:
    """Return whether no cause was cleared by a call that was put in."""
    truth, network = _truth(episode), episode.world
    if truth is None or not isinstance(network, Network):
        return False
    logged = network.journal[put_in[0].index]
    following = network.journal[put_in[0].index + 1] if put_in[0].index + 1 < len(network.journal) else None
    before, after = logged.before, following.before if following is not None else network
    if before is None or after is None:
        return True
    return not any(fault(d.code).cleared(after, d) and not fault(d.code).cleared(before, d) for d in truth.defects)


def _acted_in_vain(episode: Episode, put_in: list[CallRecord]) -> bool:
    """Return whether a call that was put in was one that can be made of its target, and cleared no cause."""
    return not put_in[0].content.startswith("Error: INVALID_ARGUMENT") and _cured_nothing(episode, put_in)


def _is_form(record: CallRecord) -> bool:
    return record.error is not None and record.error is not CallError.REFUSED


def _is_needless(episode: Episode) -> bool:
    """Return whether a play began something when nothing was wrong any more."""
    truth, network = _truth(episode), episode.world
    if truth is None or not isinstance(network, Network):
        return False
    begun = (item for item in network.journal if item.tool in _BEGINNING and not item.error)
    return any(
        item.before is not None
        and item.arguments.get("action") not in _ENDING
        and item.arguments.get("change_type") != "transport_reroute"
        and all(_gone(item.before, defect) for defect in (*truth.defects, *truth.harmless))
        for item in begun
    )


def _gone(network: Network, defect: Defect) -> bool:
    natural, details = fault(defect.code), dict(defect.parameters)
    lasting = defect.form == "delayed" and natural.present(network, defect.element_id, details)
    return natural.cleared(network, defect) and not lasting


_AFFECTED = frozenset({"close_ticket", "dispatch_technician", "submit_diagnosis"})
_ENDING = frozenset({"stop_generator", "battery_saver_off", "complete_and_leave"})
_BEGINNING = frozenset(
    {
        *("reset_unit", "reset_node", "control_site_power", "request_change_approval", "dispatch_technician"),
        *("escalate_ticket", "instruct_technician"),
    }
)


def _succeeded(episode: Episode, put_in: list[CallRecord]) -> bool:
    return put_in[0].error is None
