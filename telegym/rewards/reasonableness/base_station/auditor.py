"""The auditor: goes through an episode once and says of each call whether it was right.

Two views. The oracle knows what is wrong, and how everything about it is called; what it asks is whether a call
served the case as it truly was. The view of what could be known asks whether a call was right for somebody who had
seen what the agent had seen: a repair of a cause that everything spoke for is right there even if the cause was
another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from typing import ClassVar

from telegym.core.episode import Episode
from telegym.core.tool import CallError
from telegym.envs.base_station.hypotheses import Hypothesis, open_questions
from telegym.envs.base_station.policy import Violation
from telegym.rewards.reasonableness.auditor import Audit, Auditor
from telegym.rewards.reasonableness.base_station.case import LOOKING, Act, Case
from telegym.rewards.reasonableness.base_station.claims import Claim, claims_of, unfinished
from telegym.rewards.reasonableness.base_station.efficiency import efficiency
from telegym.rewards.reasonableness.base_station.naming import Ledger, exists, named_by, truth_names
from telegym.rewards.reasonableness.base_station.questions import answer_claim
from telegym.rewards.reasonableness.base_station.reading import (
    Watch,
    asked,
    concerns,
    looked_again,
    repeated,
    required,
    waits_for,
    waits_for_load,
)
from telegym.rewards.reasonableness.base_station.refusals import foreseeable
from telegym.rewards.reasonableness.base_station.rules import HARM, breaches, placed
from telegym.rewards.reasonableness.base_station.support import Trial, try_without
from telegym.rewards.reasonableness.base_station.treatment import ailments, eases, helps, likelihood, near, takes_back
from telegym.rewards.reasonableness.schema import formality
from telegym.rewards.reasonableness.summary import Sheet
from telegym.rewards.verdict import Check, Code, View

__all__ = ["BaseStationAuditor"]

LIKELY = 0.5
"""Probability from which a change is right although it may turn out to have been for nothing."""
POSSIBLE = 0.2
"""The same where nothing is left to look at that would tell more: then trying is the best test."""
_SAYING = frozenset({"submit_diagnosis", "close_ticket", "submit_answer"})
"""Calls that make claims."""


class BaseStationAuditor(Auditor):
    """Judges the calls of episodes of base-station maintenance."""

    environment: ClassVar[str] = "base-station"

    def audit(self, episode: Episode, view: View = View.ORACLE, *, counterfactual: bool = True) -> Audit:
        """Return what is to be said of an episode.

        Args:
            episode: The episode; it is not changed.
            view: From where to judge.
            counterfactual: Whether to play parts of the episode again to find out which changes were needed and which
                did harm, and the blind expert's play of the task for the efficiency.

        Raises:
            ConfigurationError: If the episode belongs to another environment.
        """
        self.check_environment(episode)
        return _Inspection(Case(episode), view, counterfactual=counterfactual).audit()


class _Inspection:
    """The audit of one episode."""

    def __init__(self, case: Case, view: View, *, counterfactual: bool) -> None:
        self._case = case
        self._view = view
        self._deep = counterfactual
        self._sheets = {act.index: Sheet(act.index) for act in case.acts}
        self._ledger = Ledger(case, truth_names(case) if view is View.ORACLE else frozenset())
        self._watch = Watch(case)
        self._again = looked_again(case)
        self._possible: dict[int, Sequence[Hypothesis]] = {}
        self._claims: list[Claim] = []
        self._reasons: list[str] = []
        self._unsafe = False
        self._counters: dict[str, float] = {}

    def audit(self) -> Audit:
        """Return the audit."""
        for act in self._case.acts:
            self._form(act)
            self._recovery(act)
        if self._case.trace is not None:
            self._policy()
        self._walk()
        self._sayings()
        verdicts = tuple(self._sheets[act.index].verdict() for act in self._case.acts)
        return Audit(verdicts, self._view, self._values(), self._unsafe, tuple(self._reasons), self._counters)

    # --- form, names, refusals -----------------------------------------------------------------------------

    def _form(self, act: Act) -> None:
        """Judge schema, names and refusals."""
        sheet, form = self._sheets[act.index], formality(act.record)
        if form.value is None:
            return
        refused = act.refusal == "INVALID_ARGUMENT"
        if form.value == 1.0:
            self._names(act)
        if form.value < 1.0 or (refused and sheet.clean):
            sheet.unmet(Check.SCHEMA, Code.SCHEMA, form.evidence or act.record.content[:160])
            return
        sheet.met(Check.SCHEMA)
        if act.failed and not refused:
            self._refused(act)

    def _names(self, act: Act) -> None:
        found = list(named_by(act))
        unknown = [item for item in found if not self._ledger.is_known(item, act)]
        sheet = self._sheets[act.index]
        if not unknown:
            if found:
                sheet.met(Check.GROUNDING)
            return
        item = unknown[0]
        what = "had never been shown" if exists(self._case.network, item.value) else "does not exist"
        share = 1.0 - len(unknown) / len(found)
        sheet.unmet(Check.GROUNDING, Code.UNGROUNDED, f"{item.argument} {item.value!r} {what}", share)

    def _refused(self, act: Act) -> None:
        """Judge a refusal: whether it could be foreseen, and whether it was asked for in vain before."""
        sheet = self._sheets[act.index]
        if act.refusal == "NO_CHANGE":
            sheet.unmet(Check.NECESSITY, Code.REDUNDANT, act.record.content.removeprefix("Error: "))
            return
        fault = foreseeable(self._case, act)
        if fault is not None and sheet.clean:
            check, code = Check.PRECONDITION, Code.PRECONDITION
            if fault.unsafe:
                check, code = Check.SAFETY, Code.UNSAFE
            elif fault.premature:
                check, code = Check.COMPLETION, Code.PREMATURE
            sheet.unmet(check, code, fault.reason)
            self._unsafe = self._unsafe or fault.unsafe

    def _recovery(self, act: Act) -> None:
        """Judge what follows an error: the same again, with nothing done about it, does not deal with it."""
        before = self._case.acts[act.index - 1] if act.index else None
        if before is None or before.record.error in (None, CallError.DROPPED):
            return
        sheet = self._sheets[act.index]
        if act.failed and asked(act) == asked(before):
            sheet.unmet(Check.RECOVERY, Code.REPEATED_ERROR, f"call {before.index} had failed in the same way")
        else:
            sheet.met(Check.RECOVERY)

    # --- policy --------------------------------------------------------------------------------------------

    def _policy(self) -> None:
        """Judge by the rules of the policy."""
        found: dict[int, list[Violation]] = defaultdict(list)
        for index, item in breaches(self._case, self._view):
            found[index].append(item)
        for act in self._case.acts:
            sheet = self._sheets[act.index]
            for item in found.get(act.index, ()):
                check, code = placed(self._case, item)
                sheet.unmet(check, code, f"{item.rule}: {item.reason}")
                self._unsafe = self._unsafe or item.severity == "hard" or item.rule in HARM
            if act.changes or act.group == "process":
                sheet.met(Check.SAFETY)
                sheet.met(Check.ORDERING)

    # --- one way through -----------------------------------------------------------------------------------

    def _walk(self) -> None:
        """Go through the calls, turn by turn: what was decided on what had been seen, then what was seen."""
        again, asked_for = repeated(self._case), required(self._case)
        doubtful: list[Act] = []
        for _, turn in groupby(self._case.acts, key=lambda act: act.visible):
            acts = list(turn)
            doubtful += [act for act in acts if self._is_doubtful(act)]
            for act in acts:
                self._settle(act, again.get(act.index), asked_for.get(act.index, ""))
        self._doubt(doubtful)

    def _is_doubtful(self, act: Act) -> bool:
        """Return whether nothing speaks for a remedy when it is chosen; note what was possible at a diagnosis."""
        if self._case.trace is None:
            return False
        if act.tool == "submit_diagnosis" and self._view is View.OBSERVABLE:
            self._watch.advance(act.visible)
            self._possible[act.index] = self._watch.possible()
        return _has_aim(act) and not self._is_right(act)

    # --- changes -------------------------------------------------------------------------------------------

    def _doubt(self, doubtful: list[Act]) -> None:
        """Judge changes that nothing speaks for, on copies of the network if that is wanted."""
        tried = Trial(frozenset(), frozenset(), {}, 0)
        if self._deep:
            tried = try_without(self._case, [act for act in doubtful if act.changes and act.before is not None])
            self._counters["trials"] = float(tried.trials)
        for act in doubtful:
            if act.index in tried.needed and self._view is View.ORACLE:
                self._sheets[act.index].met(Check.NECESSITY, "without it the case would not have ended as well")
            else:
                self._wrong(act, tried)

    def _is_right(self, act: Act) -> bool:
        """Return whether a change helps, prepares help, or takes back what was done; note why."""
        sheet, case = self._sheets[act.index], self._case
        if takes_back(act, case.acts[: act.index]):
            sheet.met(Check.NECESSITY, "takes back or ends what was begun")
            return True
        eased = eases(act)
        if eased:
            sheet.met(Check.PRECONDITION, eased)
            return True
        if self._view is View.ORACLE:
            found = next((item for item in ailments(case, act) if helps(act, item)), None)
            if found is not None:
                sheet.met(Check.PRECONDITION, f"helps against {found.code} at {found.names[0]}")
                sheet.met(Check.NECESSITY)
            return found is not None
        self._watch.advance(act.visible)
        chance = likelihood(act, self._watch.possible())
        if chance >= LIKELY or (chance >= POSSIBLE and self._is_followed_up(act)):
            sheet.met(Check.PRECONDITION, f"helps with probability {chance:.2f}, by what had been seen")
            return True
        return False

    def _is_followed_up(self, act: Act) -> bool:
        """Return whether nothing is left that would tell more before acting: everything at its place was looked at."""
        rivals = [item for item in self._watch.possible() if near(item.element_id, act.element_id, exact=False)]
        return not any(open_questions(self._watch.seen, item) for item in rivals if item.status != "open")

    def _wrong(self, act: Act, tried: Trial) -> None:
        """Note that a change helps against nothing."""
        sheet = self._sheets[act.index]
        harm = tried.harmful.get(act.index)
        if harm is not None:
            sheet.unmet(Check.SAFETY, Code.UNSAFE, harm)
            self._unsafe = True
        what = act.element_id or act.tool
        if self._view is View.ORACLE:
            reason = f"nothing is wrong with {what} that {act.tool} helps against"
        else:
            reason = f"what had been seen does not speak for {act.tool} at {what}"
        sheet.unmet(Check.PRECONDITION, Code.WRONG_CAUSE, reason)
        sheet.unmet(Check.NECESSITY, Code.REDUNDANT, reason)

    # --- reads, waits, messages ----------------------------------------------------------------------------

    def _settle(self, act: Act, again: int | None, reason: str) -> None:
        """Judge a call by what it told, and take its answer in."""
        sheet = self._sheets[act.index]
        if again is not None:
            sheet.unmet(Check.NECESSITY, Code.REDUNDANT, f"call {again} had told the same")
        elif act.tool == "wait" and not act.failed:
            self._wait(act, sheet)
        elif not act.failed and act.tool not in _SAYING and (act.reads or act.group == "query"):
            self._read(act, sheet, reason)

    def _wait(self, act: Act, sheet: Sheet) -> None:
        pending = waits_for(self._case, act)
        if not pending and self._case.trace is not None:
            self._watch.advance(act.visible)
            pending = waits_for_load(self._case, act, self._watch.possible())
        if pending or self._case.trace is None:
            sheet.met(Check.NECESSITY, pending)
        else:
            sheet.unmet(Check.NECESSITY, Code.REDUNDANT, "there was nothing to wait for")

    def _read(self, act: Act, sheet: Sheet, reason: str) -> None:
        """Judge a read: needed for what follows, or telling by itself."""
        users = self._ledger.opens.get(act.index)
        if reason or users:
            sheet.met(Check.NECESSITY, reason or f"call {min(users or (0,))} uses what it told")
            return
        if self._case.trace is None:
            sheet.met(Check.NECESSITY)
            return
        self._inform(act, sheet)

    def _inform(self, act: Act, sheet: Sheet) -> None:
        """Judge a read by what it told."""
        self._watch.advance(act.visible)
        if act.index in self._again:
            sheet.met(Check.NECESSITY, "looks again after something happened, or some time")
            return
        near_case = concerns(self._case, act, self._watch.seen)
        told = self._watch.read(act, weighing=not near_case)
        if told.settled:
            sheet.met(Check.NECESSITY, f"of {told.before} possible causes {told.after} are left")
        elif told.fresh and near_case:
            sheet.met(Check.NECESSITY, "tells something new about what the case concerns")
        else:
            sheet.unmet(Check.NECESSITY, Code.REDUNDANT, "it told nothing that matters for the case")

    # --- what is said at the end ---------------------------------------------------------------------------

    def _sayings(self) -> None:
        for act in self._case.acts:
            if act.tool not in _SAYING or act.failed:
                continue
            sheet = self._sheets[act.index]
            if self._case.trace is None:
                found = answer_claim(self._case, act, self._view)
            else:
                found = list(claims_of(self._case, act, self._view, self._possible.get(act.index, ())))
            self._claims += found
            self._note_claims(sheet, found)
            if act.tool == "close_ticket":
                self._completion(sheet)

    def _note_claims(self, sheet: Sheet, found: Sequence[Claim]) -> None:
        false = [claim for claim in found if not claim.true]
        if false:
            share = 1.0 - len(false) / len(found)
            sheet.unmet(Check.CLAIMS, Code.CLAIM, f"not true: {false[0].text}", share)
        elif found:
            sheet.met(Check.CLAIMS)

    def _completion(self, sheet: Sheet) -> None:
        left = unfinished(self._case, self._view)
        if left:
            sheet.unmet(Check.COMPLETION, Code.PREMATURE, f"closed although {left}")
        else:
            sheet.met(Check.COMPLETION)

    # --- the run -------------------------------------------------------------------------------------------

    def _values(self) -> dict[str, float | None]:
        closing = self._case.closing
        if closing is None and self._case.trace is not None:
            self._reasons.append("the ticket was not closed")
        done = closing is not None and self._sheets[closing.index].value(Check.COMPLETION) == 1.0
        answered = any(act.tool == "submit_answer" and not act.failed for act in self._case.acts)
        true = [claim.true for claim in self._claims]
        return {
            "efficiency": efficiency(self._case) if self._deep else None,
            "claims": sum(true) / len(true) if true else None,
            "completion": float(answered if self._case.trace is None else done),
        }


def _has_aim(act: Act) -> bool:
    """Return whether a call is a remedy, or asks for one."""
    if act.failed and act.record.error is not CallError.REFUSED:
        return False
    if act.tool == "instruct_technician":
        return act.arguments.get("action") not in LOOKING
    if act.tool == "update_alarm":
        return act.arguments.get("action") == "clear"
    if act.tool == "escalate_ticket":
        return act.arguments.get("target") != "tier3_ran"
    return act.group in ("remote_action", "field") or act.tool == "request_change_approval"
