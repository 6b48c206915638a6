"""Tau2Auditor: goes through an episode of tau2 telecom once and judges every call of the agent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import ClassVar, NamedTuple

from telegym.core.episode import CallRecord, Episode
from telegym.core.tool import CallError
from telegym.envs.tau2_telecom.case import TRANSFER_TOOL, Case
from telegym.envs.tau2_telecom.findings import Findings
from telegym.envs.tau2_telecom.scoring import collateral_damage
from telegym.envs.tau2_telecom.state import TelecomState
from telegym.envs.tau2_telecom.world import TelecomWorld
from telegym.rewards.reasonableness.auditor import Audit, Auditor
from telegym.rewards.reasonableness.elimination import Elimination, eliminate
from telegym.rewards.reasonableness.hypotheses import Hypotheses
from telegym.rewards.reasonableness.ordering import Event, Order
from telegym.rewards.reasonableness.recovery import recoveries, repeats
from telegym.rewards.reasonableness.schema import formality
from telegym.rewards.reasonableness.summary import Sheet
from telegym.rewards.reasonableness.tau2.beliefs import Beliefs, beliefs, causes_shown, shown, truth
from telegym.rewards.reasonableness.tau2.claims import Claims
from telegym.rewards.reasonableness.tau2.efficiency import efficiency, telecom_of
from telegym.rewards.reasonableness.tau2.facts import exists, facts, hear, kind_of, read_answer
from telegym.rewards.reasonableness.tau2.reads import IDENTIFYING, TESTS, Looks, needed_record
from telegym.rewards.reasonableness.tau2.rules import CONSTRAINTS, DIAGNOSES, Moment, cause, events, problems
from telegym.rewards.verdict import Check, Code, View

__all__ = ["Tau2Auditor"]

_THOUGHT = re.compile(r"<think>.*?(</think>|\Z)", re.S)
_LIKELY = 0.5
"""From which probability on a cause may be treated, seen from what could be known."""


class Tau2Auditor(Auditor):
    """Judges the calls of tau2-telecom, of both modes. Its hypotheses are the causes that the manual lists."""

    environment: ClassVar[str] = "tau2-telecom"

    def audit(self, episode: Episode, view: View = View.ORACLE, *, counterfactual: bool = True) -> Audit:
        """Return what is to be said of an episode; see `Auditor.audit`."""
        self.check_environment(episode)
        walk = _Walk(episode, view)
        walk.run()
        forks = walk.eliminate() if counterfactual else 0
        verdicts = tuple(sheet.verdict() for sheet in walk.sheets.values())
        reached = walk.reached
        claims = walk.claims
        return Audit(
            verdicts=verdicts,
            view=view,
            values={
                "efficiency": efficiency(episode) if reached else 0.0,
                "claims": claims.value,
                "completion": float(reached and walk.verified),
            },
            unsafe=walk.unsafe,
            counters={"forks": forks, "surprises": walk.hypotheses.surprises},
            reasons=tuple(walk.reasons()),
        )


class _Step(NamedTuple):
    """A call with the states around it."""

    record: CallRecord
    kind: str | None
    before: TelecomState
    after: TelecomState


class _Walk:
    """One pass over an episode."""

    def __init__(self, episode: Episode, view: View) -> None:
        environment = telecom_of(episode.environment)
        assert isinstance(episode.world, TelecomWorld)
        self.episode, self.view = episode, view
        self.case: Case = environment.case(episode.task)
        self.alone = environment.mode == "solo"
        self.workflow = environment.policy == "workflow"
        self.seed = episode.world.seed
        self.beliefs = beliefs(self.case.family, self.case.abroad)
        self.hypotheses = Hypotheses(self.beliefs.all.bit_length())
        self.findings = Findings()
        self.facts = facts()
        self.order = Order(CONSTRAINTS)
        self.looks = Looks(self.case.family)
        self.claims = Claims(self.case)
        self.sheets: dict[int, Sheet] = {}
        self.steps: list[_Step] = []
        self.prescribed: set[int] = set()
        self.paid = self.unsafe = self.reached = self.verified = self.speaks = False
        self.place = -1

    # --- going through --------------------------------------------------------------------------------

    def run(self) -> None:
        """Go through all messages; answers of tools come in the order of the calls."""
        self.steps = list(self._all_steps())
        upcoming = iter(self.steps)
        for message in self.episode.messages:
            if message.role == "tool":
                self._call(next(upcoming))
            elif message.role == "user" and not message.tool_calls:
                hear(self.facts, message.content, "task" if self.alone else "user", len(self.sheets) - 1)
            elif message.role == "assistant":
                said = _THOUGHT.sub("", message.content or "").strip()
                self.speaks = bool(said) and not self.alone
                if said and not message.tool_calls:
                    self.claims.hear(said, self.steps[self.place].after if self.place >= 0 else self.case.initial)
        self._conclude()

    def _all_steps(self) -> Iterator[_Step]:
        """Yield the calls with their states, playing them again where no states were recorded."""
        world = TelecomWorld(self.case.initial, self.seed)
        for record in self.episode.calls:
            tool, before = self.episode.toolkit.get(record.call.name), world.state
            if record.after is not None:
                assert isinstance(record.after, TelecomState)
                world.state = record.after
            elif record.error is None:
                self.episode.toolkit.execute(world, record.call)
            yield _Step(record, tool.kind if tool is not None else None, before, world.state)

    def _call(self, step: _Step) -> None:
        self.place += 1
        record = step.record
        mine = record.call.requestor == "assistant"
        sheet = Sheet(record.index)
        if mine:
            self.sheets[record.index] = sheet
            self._form(step, sheet)
        sound = sheet.value(Check.SCHEMA) != 0 and record.error is not CallError.DROPPED
        if mine and sound:
            self._ground(step, sheet)
            self._judge(step, sheet)
        if record.error is None:
            self._learn(step, sheet if mine else None)

    def _form(self, step: _Step, sheet: Sheet) -> None:
        value, evidence = formality(step.record)
        if value == 0:
            sheet.unmet(Check.SCHEMA, Code.SCHEMA, evidence)
        elif value is not None:
            sheet.met(Check.SCHEMA)
        place = self.place
        crowded = place > 0 and self.steps[place - 1].record.turn == step.record.turn
        same_side = crowded and self.steps[place - 1].record.call.requestor == "assistant"
        if same_side or step.record.error is CallError.DROPPED:
            sheet.unmet(Check.SAFETY, Code.POLICY, "only one tool may be called in a message")
        elif self.speaks:
            sheet.unmet(Check.SAFETY, Code.POLICY, "a message that calls a tool must not speak to the customer")

    def _ground(self, step: _Step, sheet: Sheet) -> None:
        for argument, value in step.record.call.arguments.items():
            kind = kind_of(argument, value)
            if kind is None:
                continue
            found = self.facts.ground(argument, value, kind, lambda kind, value: exists(step.before, kind, value))
            if found.grounded:
                sheet.met(Check.GROUNDING)
            else:
                sheet.unmet(Check.GROUNDING, Code.UNGROUNDED, found.sentence())

    # --- judging --------------------------------------------------------------------------------------

    def _judge(self, step: _Step, sheet: Sheet) -> None:
        record = step.record
        if record.error is not None:
            sheet.unmet(Check.PRECONDITION, Code.PRECONDITION, f"refused: {record.content.removeprefix('Error: ')}")
        if step.kind == "write" and record.call.name in DIAGNOSES:
            self._judge_write(step, sheet)
        elif step.kind == "control":
            self._judge_end(step, sheet)
        elif record.call.name == TRANSFER_TOOL:
            self._judge_transfer(step, sheet)
        if self.findings.transferred and step.kind != "control":
            sheet.unmet(Check.NECESSITY, Code.REDUNDANT, "the case had been handed over")

    def _moment(self, step: _Step) -> Moment:
        return Moment(
            name=step.record.call.name,
            arguments=step.record.call.arguments,
            case=self.case,
            before=step.before,
            after=step.after,
            findings=self.findings,
            workflow=self.workflow,
            paid=self.paid,
        )

    def _judge_write(self, step: _Step, sheet: Sheet) -> None:
        moment = self._moment(step)
        for problem in problems(moment):
            sheet.unmet(problem.check, problem.code, problem.sentence)
            self.unsafe = self.unsafe or problem.code is Code.UNSAFE
        if sheet.value(Check.SAFETY) is None:
            sheet.met(Check.SAFETY)
        self._check_cause(step, moment, sheet)
        self._check_order(moment, sheet)
        if step.record.error is None:
            self._check_effect(step, moment, sheet)

    def _check_cause(self, step: _Step, moment: Moment, sheet: Sheet) -> None:
        """Ask whether what the call remedies was there, or could be known to be."""
        what = DIAGNOSES[moment.name]
        there, maybe = cause(moment, truth(self.case, step.before)), cause(moment, self.beliefs)
        if not there and self._undoes(step):
            self.prescribed.add(step.record.index)
            self.order.happened([Event("diagnose", what)])
            sheet.met(Check.PRECONDITION, f"{moment.name} puts right what had been changed by mistake")
            return
        if self.hypotheses.settled(maybe):
            self.order.happened([Event("diagnose", what)])
        if self.view is View.ORACLE:
            met, share = bool(there), float(bool(there))
        else:
            share = self.hypotheses.probability(maybe)
            met = share >= _LIKELY
        if met:
            self._note_prescribed(step, moment)
            sheet.met(Check.PRECONDITION, f"{what}: the cause {'was there' if share == 1 else 'was likely'}")
        elif share > 0:
            sheet.unmet(Check.PRECONDITION, Code.ORDER, f"{what}: not known to be the cause, {share:.0%} likely")
        else:
            sheet.unmet(Check.PRECONDITION, Code.WRONG_CAUSE, f"{what}: nothing was wrong there")

    def _note_prescribed(self, step: _Step, moment: Moment) -> None:
        """Remember steps that policy or workflow ask for whether or not they help."""
        if moment.name == "reboot_device" and self.findings.search_pending:
            self.prescribed.add(step.record.index)
        if not self.workflow:
            return
        if moment.name == "reset_apn_settings" or (moment.name == "reboot_device" and self.prescribed):
            self.prescribed.add(step.record.index)
        if moment.name == "disconnect_vpn":
            self.prescribed.add(step.record.index)

    def _undoes(self, step: _Step) -> bool:
        if step.record.error is not None or step.before is step.after:
            return False
        before = set(_damage(self.case, step.before))
        return bool(before) and set(_damage(self.case, step.after)) < before

    def _check_order(self, moment: Moment, sheet: Sheet) -> None:
        _, violations = self.order.judge(events(moment))
        for violation in violations:
            sheet.unmet(Check.ORDERING, Code.ORDER, violation.sentence())
        if not violations:
            sheet.met(Check.ORDERING)

    def _check_effect(self, step: _Step, moment: Moment, sheet: Sheet) -> None:
        if _differs(step.before, step.after) or step.record.index in self.prescribed:
            sheet.met(Check.NECESSITY)
        else:
            sheet.unmet(Check.NECESSITY, Code.REDUNDANT, f"{moment.name} changed nothing")

    def _judge_transfer(self, step: _Step, sheet: Sheet) -> None:
        sheet.met(Check.SAFETY)
        hopeless = self.hypotheses.certain(self.beliefs.hopeless)
        found = self.case.cause_found(self.findings) and (hopeless or self.view is View.ORACLE)
        if self.case.expected_failure and found:
            self.order.happened([Event("cause")])
        self._check_order(self._moment(step), sheet)
        needs_human = self.case.expected_failure if self.view is View.ORACLE else hopeless
        if needs_human:
            sheet.met(Check.PRECONDITION, "the cause needs a human")
        elif not self.case.expected_failure:
            sheet.unmet(Check.COMPLETION, Code.PREMATURE, "the case can be solved without handing it over")
        self.claims.summary(str(step.record.call.arguments.get("summary", "")), step.before, sheet)

    def _judge_end(self, step: _Step, sheet: Sheet) -> None:
        """Judge the call that declares the work finished."""
        if self.findings.transferred:
            sheet.met(Check.COMPLETION, "the case had been handed over")
            return
        if self._seems_done(step.before):
            sheet.met(Check.PRECONDITION, "what the customer complained of works again")
        else:
            seen = "what the customer complained of does not work"
            unseen = "nothing shows that what the customer complained of works"
            sheet.unmet(Check.PRECONDITION, Code.PREMATURE, seen if self.view is View.ORACLE else unseen)
        _, violations = self.order.judge([Event("close", TESTS[self.case.family])])
        for violation in violations:
            sheet.unmet(Check.ORDERING, Code.PREMATURE, violation.sentence())
        if not violations:
            sheet.met(Check.ORDERING)
        if sheet.value(Check.PRECONDITION) and not violations:
            sheet.met(Check.COMPLETION)
        else:
            sheet.unmet(Check.COMPLETION, Code.PREMATURE, "the work was not done, or not tested")

    def _seems_done(self, state: TelecomState) -> bool:
        return self._solved(state) if self.view is View.ORACLE else self.hypotheses.certain(self.beliefs.goal)

    def _solved(self, state: TelecomState) -> bool:
        if self.case.expected_failure:
            return self.findings.transferred
        world = TelecomWorld(state, self.seed)
        return all(
            world.run(each.target, each.name, each.arguments) == each.expected for each in self.case.task.assertions
        )

    # --- learning -------------------------------------------------------------------------------------

    def _learn(self, step: _Step, sheet: Sheet | None) -> None:
        """Take in what a successful call did and showed; judge a read by what it told."""
        call = step.record.call
        now = truth(self.case, step.after)
        line_id = self.case.subject.line_id
        reads = step.kind == "read" and call.name != TRANSFER_TOOL
        needed = self._needed(step) if reads and sheet is not None else ""
        if call.name != "refuel_data" or self.hypotheses.settled(self.beliefs.exceeded):
            self.beliefs.apply(call.name, call.arguments, call.arguments.get("line_id", line_id) == line_id, now)
        verifies = self._note_change(step)
        before = self.hypotheses.alive.bit_count()
        news = self._observe(step, now)
        if reads and sheet is not None:
            self._judge_read(sheet, needed, verifies, news, before)
        self._note(step, now)

    def _needed(self, step: _Step) -> str:
        """Return what a read is needed for besides news, or an empty text."""
        call = step.record.call
        needed = needed_record(call.name, call.arguments, self.findings, self.case, self.hypotheses, self.beliefs)
        if needed or self.looks.looked(call.name, str(call.arguments.get("id", ""))):
            return needed
        inferred = any(self.hypotheses.certain(mask) for mask in causes_shown(call.name, call.arguments, self.beliefs))
        return "it confirmed what could be inferred, before it is put right" if inferred else ""

    def _judge_read(self, sheet: Sheet, needed: str, verifies: bool, news: bool, before: int) -> None:
        if news:
            left = self.hypotheses.alive.bit_count()
            sheet.met(Check.NECESSITY, f"of {before} combinations of causes {left} remained")
        elif needed or verifies:
            sheet.met(Check.NECESSITY, needed or "it tested what had been changed")
        else:
            sheet.unmet(Check.NECESSITY, Code.REDUNDANT, "it told nothing that was not known and is needed for nothing")

    def _note_change(self, step: _Step) -> bool:
        """Note a change; return whether a read shows one that was not looked at yet."""
        call = step.record.call
        if step.kind == "write":
            if _differs(step.before, step.after):
                self.looks.changed(call.name)
                own = call.arguments.get("line_id", self.case.subject.line_id) == self.case.subject.line_id
                if own and call.name not in ("send_payment_request", "make_payment"):
                    self.order.happened([Event("change")])
            return False
        return self.looks.verifies(call.name, str(call.arguments.get("id", "")), self.case)

    def _observe(self, step: _Step, now: Beliefs) -> bool:
        call = step.record.call
        show = shown(call.name, call.arguments, self.case, self.findings)
        news, everything = False, self.beliefs.all
        for mask, true in zip(show(self.beliefs), show(now), strict=True):
            news = self.hypotheses.observe(mask if true else everything & ~mask) or news
        return news

    def _note(self, step: _Step, now: Beliefs) -> None:
        """Remember facts, findings and events of a successful call."""
        call, content = step.record.call, step.record.content
        read_answer(self.facts, call.name, content, step.record.index)
        self.findings.observe(call.name, call.arguments, content)
        self.order.happened(self._events(step))
        self.paid = self.paid or (call.name == "make_payment" and step.before is not step.after)
        if self._is_test(step) and now.goal:
            self.order.happened([Event("verify")])

    def _is_test(self, step: _Step) -> bool:
        """Whether the answer tells if what the customer complained of works."""
        if self.case.family == "service_issue":
            return "Status Bar:" in step.record.content or step.record.call.name == "check_network_status"
        return step.record.call.name == TESTS[self.case.family]

    def _events(self, step: _Step) -> Iterable[Event]:
        call, found, subject = step.record.call, self.findings, self.case.subject
        identifies = call.name in IDENTIFYING or call.name == "get_details_by_id"
        if identifies and (found.customer or {}).get("customer_id") == subject.customer_id:
            yield Event("identify")
        line = found.lines.get(str(call.arguments.get("id", "")))
        if line is not None:
            yield Event("read line", line["line_id"])
        yield from (Event("read usage", line_id) for line_id in found.usage)
        yield from (Event("read usage", key) for key, each in found.lines.items() if each["plan_id"] in found.plans)
        yield from (Event("read overdue", bill["bill_id"]) for bill in found.overdue())
        if call.name == "make_payment" and step.before is not step.after:
            yield Event("pay")
        elif call.name in ("get_details_by_id", "get_bills_for_customer") and self.paid and not self._owes(step.after):
            yield Event("settled")

    def _owes(self, state: TelecomState) -> bool:
        bills = state.customers[self.case.subject.customer_id].bill_ids
        return any(state.bills[bill_id].status in ("Overdue", "Awaiting Payment") for bill_id in bills)

    # --- the whole run --------------------------------------------------------------------------------

    def _conclude(self) -> None:
        state = self.steps[-1].after if self.steps else self.case.initial
        self.reached = self._solved(state)
        self.verified = self.findings.transferred or self.order.last("verify") > self.order.last("change")
        records = [step.record for step in self.steps]
        self._judge_recovery([record for record in records if record.call.requestor == "assistant"])
        self._judge_repeats()

    def _judge_recovery(self, mine: list[CallRecord]) -> None:
        for record, value in zip(mine, recoveries(mine), strict=True):
            if value == 1:
                self.sheets[record.index].met(Check.RECOVERY)
            elif value == 0:
                sentence = "it repeats the call that had just failed"
                self.sheets[record.index].unmet(Check.RECOVERY, Code.REPEATED_ERROR, sentence)

    def _judge_repeats(self) -> None:
        """Mark successful reads that were made before in the same state."""
        version, versions = 0, []
        for step in self.steps:
            versions.append(version)
            version += step.kind == "write" and step.before is not step.after
        for step, earlier in zip(self.steps, repeats([step.record for step in self.steps], versions), strict=True):
            sheet = self.sheets.get(step.record.index)
            if sheet is None or earlier is None or step.kind != "read" or step.record.call.name == TRANSFER_TOOL:
                continue
            sentence = f"call {self.steps[earlier].record.index} had told the same, nothing had changed since"
            sheet.unmet(Check.NECESSITY, Code.REDUNDANT, sentence)

    def reasons(self) -> Iterator[str]:
        """Yield what cost something and is not the matter of a single call."""
        yield from self.claims.reasons
        if not self.reached:
            yield "the work was not done"
        elif not self.verified:
            yield "nobody tested whether it works since the last change"

    # --- elimination ----------------------------------------------------------------------------------

    def eliminate(self) -> int:
        """Find the changes that could be left out together; return the number of trials."""
        candidates = [place for place, step in enumerate(self.steps) if self._may_be_idle(step)]
        if not candidates:
            return 0
        reached = self._shortcomings(self.steps[-1].after)
        found: Elimination = eliminate(candidates, lambda dropped: self._suffices(dropped, reached))
        for place in sorted(found.idle):
            if self._made_good_later(place, found):
                continue
            sheet = self.sheets[self.steps[place].record.index]
            sheet.unmet(Check.NECESSITY, Code.REDUNDANT, "without it the run would have ended as well")
        return found.forks

    def _made_good_later(self, place: int, found: Elimination) -> bool:
        """Whether a call was right when it was made, and idle only for what came later.

        The same had to be done again, or the restart that makes a reset effective never came.
        """
        step = self.steps[place]
        kept = (other for other in range(place + 1, len(self.steps)) if other not in found.idle)
        later = {self.steps[other].record.call.name for other in kept if self.steps[other].record.error is None}
        unfinished = step.record.call.name == "reset_apn_settings" and "reboot_device" not in later
        return self.sheets[step.record.index].clean and (unfinished or step.record.call.name in later)

    def _may_be_idle(self, step: _Step) -> bool:
        if step.kind != "write" or step.record.error is not None or step.record.call.requestor != "assistant":
            return False
        return step.record.index not in self.prescribed and _differs(step.before, step.after)

    def _suffices(self, dropped: frozenset[int], reached: frozenset[str]) -> bool:
        first = min(dropped)
        world = TelecomWorld(self.steps[first].before, self.seed)
        for place in range(first + 1, len(self.steps)):
            step = self.steps[place]
            if place not in dropped and step.kind == "write" and step.record.error is None:
                self.episode.toolkit.execute(world, step.record.call)
        return self._shortcomings(world.state) <= reached

    def _shortcomings(self, state: TelecomState) -> frozenset[str]:
        """Return what is wrong in a state: causes that are still there, damage, a test that fails."""
        now = truth(self.case, state)
        wrong = {name for name in _WRONG if getattr(now, name)}
        if now.calling & now.captures:
            wrong.add("calling")
        if now.vpn_on & now.vpn_slow:
            wrong.add("vpn")
        if not now.goal:
            wrong.add("goal")
        if self.case.family == "mobile_data_issue" and (now.slow2 | now.slow3 | now.slow4):
            wrong.add("mode")
        if not self._keeps_promises(state):
            wrong.add("amount")
        return frozenset(wrong.union(_damage(self.case, state)))

    def _keeps_promises(self, state: TelecomState) -> bool:
        if self.case.expected_failure:
            return True
        return self._solved(state)


_WRONG = (
    *("airplane", "missing", "apn", "suspended", "overdue", "awaiting", "data_off", "roaming_off"),
    *("line_roaming_off", "exceeded", "saver", "slow2", "mmsc", "sms", "storage"),
)


def _damage(case: Case, state: TelecomState) -> Iterator[str]:
    for sentence in collateral_damage(case, state):
        yield sentence.partition(" went from ")[0]


def _differs(before: TelecomState, after: TelecomState) -> bool:
    """Return whether a call changed anything: a phone that searched and found the same did not."""
    if before is after:
        return False
    if before.phone is not after.phone and before.phone != after.phone:
        return True
    if before.surroundings is not after.surroundings and before.surroundings != after.surroundings:
        return True
    for name in ("lines", "bills", "customers"):
        first, last = getattr(before, name), getattr(after, name)
        if first is not last and first != last:
            return True
    return False
