"""ScriptedUser: a customer with a phone who needs no model.

It understands plain requests (`meaning`), plans the tools they need, one call at a time, and reports what the tools
say. It does nothing it was not asked to do, says nothing about the phone that a tool has not shown, and answers
questions about itself from its scenario alone.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from telegym.agents.users.acts import Act, Condition, Context
from telegym.agents.users.meaning import Understanding, understand
from telegym.agents.users.operations import GOAL_TOOLS
from telegym.agents.users.readings import FACT_TOOLS, SWITCH_TOOLS, TESTS, VOLATILE, WRITE_TOOLS, read_facts
from telegym.agents.users.speech import Report, Speech
from telegym.core.messages import Message, ToolCall
from telegym.core.user import OUT_OF_SCOPE, STOP, TRANSFER, User
from telegym.envs.tau2_telecom.scenario import UserScenario

__all__ = ["ScriptedUser"]

_MAX_CALLS = 24
"""Most tool calls in one turn: a message that asks for more is answered after these."""
_PATIENCE = 3
"""How often an agent may ask for what the scenario lacks before the user gives up."""


@dataclass
class _Memory:
    """Everything that changes. Values are immutable, so that a copy of the containers is a copy of all."""

    turn: int = 0
    calls: int = 0
    opened: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    context: Context = field(default_factory=Context)
    pending: tuple[Act, ...] = ()
    pending_unasked: bool = False
    explained: tuple[str, ...] = ()
    worried: bool = False
    frustrated: bool = False
    writes: int = 0
    asked_in_vain: dict[str, int] = field(default_factory=dict)
    topics: tuple[str, ...] = ()
    amount: float | None = None
    plan: list[Act] = field(default_factory=list)
    waiting: Act | None = None
    answers: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    looked: list[tuple[str, tuple[tuple[str, Any], ...]]] = field(default_factory=list)
    verdicts: dict[int, bool] = field(default_factory=dict)
    settled: tuple[int, ...] = ()
    goal_seen: bool = False
    gives_up: bool = False

    def copy(self) -> _Memory:
        """Return an independent copy."""
        new = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, dict | list):
                setattr(new, name, value.copy())
        return new


class ScriptedUser(User):
    """A deterministic customer.

    Args:
        scenario: What the customer knows, wants and agrees to.
        seed: Varies the wording, nothing else.
    """

    def __init__(self, scenario: UserScenario, seed: int = 0) -> None:
        self.scenario = scenario
        self._speech = Speech(scenario, seed)
        self._memory = _Memory(context=Context(scenario.family))

    def respond(self, incoming: Sequence[Message]) -> Message:
        """Answer the agent's text, or go on after tool results."""
        results = [message for message in incoming if message.role == "tool"]
        if results:
            for result in results:
                self._absorb(result)
            return self._go_on()
        text = "\n".join(message.content or "" for message in incoming if message.role == "assistant")
        return self._hear(text)

    def fork(self) -> Self:
        """Return an independent copy with the same memory."""
        new = copy.copy(self)
        new._memory = self._memory.copy()
        return new

    # --- hearing ------------------------------------------------------------------------------------

    def _hear(self, text: str) -> Message:
        memory = self._memory
        self._new_turn()
        heard = understand(text, memory.context)
        memory.context = heard.context
        if heard.transfer:
            return self._say(f"{self._speech.pick('transfer', memory.turn)} {TRANSFER}")
        opening = not memory.opened
        memory.opened = True
        if opening and not (heard.acts or heard.past or heard.suggestions):
            self._introduce(heard)
        self._answer(heard)
        memory.plan = self._intentions(heard)
        self._ask_back(heard)
        if heard.mentioned:
            memory.topics, memory.amount = tuple(heard.mentioned), heard.amount
        if not (memory.plan or memory.answers or memory.notes or memory.questions):
            key = "ask_rephrase" if heard.unclear_question else "ask_next"
            memory.questions.append(self._speech.pick(key, memory.turn))
        return self._go_on()

    def _introduce(self, heard: Understanding) -> None:
        """Say why the user calls, in place of an answer to a greeting."""
        heard.farewell = False
        if not heard.claim:
            self._memory.answers.append(self._speech.opening(self._memory.turn))
        heard.topics = [topic for topic in heard.topics if topic != "reason"]
        heard.consents, heard.unsupported, heard.missing, heard.unclear_question = [], [], [], False

    def _new_turn(self) -> None:
        memory = self._memory
        memory.turn += 1
        for name in ("answers", "notes", "questions", "reports", "looked"):
            setattr(memory, name, [])
        memory.facts = {name: value for name, value in memory.facts.items() if name not in VOLATILE}
        memory.goal_seen = False
        memory.verdicts, memory.settled = {}, ()

    def _intentions(self, heard: Understanding) -> list[Act]:
        """Return what to do: what was asked, after what was asked before and is confirmed now."""
        memory = self._memory
        acts = list(heard.acts)
        confirmed = heard.affirm or memory.pending_unasked
        if memory.pending and confirmed and not heard.deny:
            earlier = [act for act in memory.pending if not any(act.same_as(new) for new in acts)]
            acts = [*map(_from_before, earlier), *acts]
            memory.context = replace(memory.context, last=acts[-1])
        elif memory.pending and heard.deny and not acts:
            memory.answers.append(self._speech.pick("declined", memory.turn))
        if memory.pending:
            memory.pending, memory.pending_unasked = (), False
        if (heard.claim or heard.farewell) and not any(act.do == "goal" or act.tool == self._goal_tool for act in acts):
            acts.append(Act("goal"))
        return self._ask_about_jargon(acts, heard)

    def _ask_about_jargon(self, acts: list[Act], heard: Understanding) -> list[Act]:
        """Let an anxious person ask once what a term means, and do the rest meanwhile."""
        memory = self._memory
        if self.scenario.persona != "Hard":
            return acts
        asked: list[Act] = []
        for term in ("vpn", "apn"):
            concerned = [act for act in acts if term in act.tool]
            if concerned and term not in memory.explained:
                memory.explained = (*memory.explained, term)
                if not heard.explains:
                    memory.questions.append(self._speech.pick(f"explain_{term}", memory.turn))
                    asked += acts[acts.index(concerned[0]) :]
                    acts = acts[: acts.index(concerned[0])]
        if asked:
            memory.pending, memory.pending_unasked = tuple(asked), True
        return acts

    # --- answering ----------------------------------------------------------------------------------

    def _answer(self, heard: Understanding) -> None:
        memory = self._memory
        for topic in heard.topics:
            answer = self._speech.personal(topic, memory.turn)
            if answer is None:
                self._do_not_know(topic)
            else:
                memory.answers.append(answer)
        for topic in dict.fromkeys(heard.unknown):
            self._do_not_know(topic)
        for consent in heard.consents:
            topic, amount = consent.topic, consent.amount
            if topic == "unclear" and memory.topics:
                topic, amount = memory.topics[0], amount or memory.amount
            elif topic == "unclear" and amount is not None:
                topic = "refuel"
            memory.answers.append(self._speech.consent(topic, amount, memory.turn))
        memory.answers = list(dict.fromkeys(memory.answers))

    def _do_not_know(self, topic: str) -> None:
        memory = self._memory
        memory.asked_in_vain[topic] = memory.asked_in_vain.get(topic, 0) + 1
        memory.gives_up |= memory.asked_in_vain[topic] >= _PATIENCE
        memory.answers.append(self._speech.pick("unknown", memory.turn))

    def _ask_back(self, heard: Understanding) -> None:
        """Ask what is open: what was only hinted at, not understood, or is not possible."""
        memory, speech = self._memory, self._speech
        for act in heard.past:
            if act.writes and self._has_done(act):
                memory.answers.append(speech.pick("tried", memory.turn))
            elif act.writes or not memory.plan:
                memory.questions.append(speech.about_action("not_tried", act, memory.turn))
                self._wait_for_word(act)
        hinted = [act for act in heard.suggestions if not any(act.same_as(other) for other in memory.plan)]
        if hinted and not memory.plan and not memory.pending:
            memory.questions.append(speech.about_action("ask_whether", hinted[0], memory.turn))
            memory.pending = tuple(hinted)
        for missing in heard.missing:
            memory.questions.append(speech.pick(f"ask_{missing}", memory.turn))
        if heard.unsupported and not memory.plan:
            memory.questions.append(speech.pick("cannot", memory.turn))
        nothing_else = not (memory.plan or memory.answers or memory.questions)
        if heard.declined and nothing_else:
            memory.answers.append(speech.pick("declined", memory.turn))
            memory.questions.append(speech.pick("ask_next", memory.turn))
        memory.questions = list(dict.fromkeys(memory.questions))

    def _wait_for_word(self, act: Act) -> None:
        self._memory.pending = (*self._memory.pending, act)

    def _has_done(self, act: Act) -> bool:
        tool = act.tool or SWITCH_TOOLS.get(act.concept, "reboot_device")
        return self._memory.done.get(tool, 0) > 0

    # --- acting -------------------------------------------------------------------------------------

    @property
    def _goal_tool(self) -> str:
        return GOAL_TOOLS[self.scenario.family]

    def _go_on(self) -> Message:
        """Make the next tool call, or report if nothing is left to do."""
        memory = self._memory
        while memory.plan and len(memory.reports) < _MAX_CALLS:
            act = memory.plan.pop(0)
            call = self._next_call(act)
            if call is not None:
                return call
        memory.plan = []
        if memory.goal_seen and self._goal() is None and len(memory.reports) < _MAX_CALLS:
            return self._call(Act("goal"), self._goal_tool)
        return self._report()

    def _next_call(self, act: Act) -> Message | None:
        """Return the call that an act needs now, or None if it is settled without one."""
        for index, condition in enumerate(act.conditions):
            met = self._is_met(condition)
            if met is None and condition.fact == "abroad":
                self._memory.questions.append(self._speech.pick("cannot_tell", self._memory.turn))
                return None
            if met is None:
                return self._look_first(replace(act, conditions=act.conditions[index:]), condition.fact)
            if not met:
                self._note_skip(condition)
                return None
            self._memory.settled = (*self._memory.settled, condition.key)
        if act.presupposed and act.do != "set" and self._has_done(act):
            return None
        handler = {"read": self._read, "goal": self._read, "repeat": self._read, "set": self._set}.get(
            act.do, self._change
        )
        return handler(act)

    def _note_skip(self, condition: Condition) -> None:
        """Say once why something was not done, unless the alternative was done."""
        memory = self._memory
        if condition.key not in memory.settled:
            memory.notes.append(self._speech.skipped(condition, memory.facts, memory.turn))
            memory.settled = (*memory.settled, condition.key)

    def _read(self, act: Act) -> Message | None:
        last = self._memory.context.last_read
        if last is None or ("test" in act.facts and last not in TESTS):
            last = self._goal_tool
        tool = {"goal": self._goal_tool, "repeat": last}.get(act.do, act.tool)
        act = replace(act, facts=()) if act.do == "repeat" else act
        if act.do == "repeat" and act.tool == "seen" and (self._memory.looked or self._memory.reports):
            return None
        if act.do == "repeat" and tool == "check_app_permissions":
            act = replace(act, arguments=(("app_name", self._memory.context.app or "messaging"),))
        if (tool, act.arguments) in self._memory.looked:
            self._widen(tool, act)
            return None
        return self._call(act, tool)

    def _widen(self, tool: str, act: Act) -> None:
        """Add what is asked to the report of a look that was taken already."""
        reports = self._memory.reports
        for index, report in enumerate(reports):
            if report.tool == tool:
                facts = () if not act.facts or not report.facts else tuple(dict.fromkeys((*report.facts, *act.facts)))
                reports[index] = replace(report, facts=facts, silent=False)

    def _set(self, act: Act) -> Message | None:
        present = self._memory.facts.get(act.concept)
        if present is None:
            return self._look_first(act, act.concept)
        if present == act.state:
            self._memory.notes.append(self._speech.already(act, self._memory.turn))
            return None
        return self._call(act, SWITCH_TOOLS[act.concept])

    def _change(self, act: Act) -> Message | None:
        memory = self._memory
        if act.do == "power":
            memory.questions.append(self._speech.about_action("ask_whether", act, memory.turn))
            memory.pending = (*memory.pending, Act("call", "reboot_device"))
            return None
        if act.tool == "make_payment" and not self.scenario.pays_bills:
            memory.answers.append(self._speech.pick("pay_no", memory.turn))
            return None
        if act.tool in ("connect_vpn", "disconnect_vpn") and memory.facts.get("vpn") is (act.tool == "connect_vpn"):
            act = replace(act, concept="vpn", state=act.tool == "connect_vpn")
            memory.notes.append(self._speech.already(act, memory.turn))
            return None
        return self._call(act, act.tool or SWITCH_TOOLS[act.concept])

    def _look_first(self, act: Act, fact: str) -> Message | None:
        """Look at what an act depends on, and come back to the act."""
        name, _, app = fact.partition("/")
        tool = self._goal_tool if fact == "goal" else FACT_TOOLS.get(name, "")
        arguments: tuple[tuple[str, Any], ...] = (("app_name", app),) if app else ()
        if not tool or (tool, arguments) in self._memory.looked:
            self._memory.questions.append(self._speech.pick("cannot_tell", self._memory.turn))
            return None
        self._memory.plan.insert(0, act)
        facts = () if fact == "goal" or app else (name,)
        return self._call(Act("read", tool, arguments, facts=facts), tool, silent=act.do == "set")

    def _call(self, act: Act, tool: str, silent: bool = False) -> Message:
        memory = self._memory
        memory.calls += 1
        memory.waiting = replace(act, tool=tool)
        memory.reports.append(Report(tool, dict(act.arguments), facts=act.facts, silent=silent))
        if tool in WRITE_TOOLS:
            memory.looked = []
        else:
            memory.looked.append((tool, act.arguments))
            if not silent:
                memory.context = replace(memory.context, last_read=tool)
        call = ToolCall(id=f"user_{memory.calls}", name=tool, arguments=dict(act.arguments), requestor="user")
        return Message(role="user", tool_calls=(call,))

    def _absorb(self, result: Message) -> None:
        """Learn from a tool result."""
        memory = self._memory
        if not memory.reports or memory.waiting is None:
            return
        tool, content = memory.waiting.tool, result.content or ""
        memory.reports[-1] = replace(memory.reports[-1], content=content, error=result.error)
        if tool in WRITE_TOOLS:
            for name in [*VOLATILE, *_FORGOTTEN.get(tool, ())]:
                memory.facts.pop(name, None)
            for name in [name for name in memory.facts if tool == "grant_app_permission" and "/" in name]:
                del memory.facts[name]
            memory.writes += not result.error
            memory.done[tool] = memory.done.get(tool, 0) + 1
        if not result.error:
            seen = read_facts(tool, dict(memory.waiting.arguments), content)
            memory.facts.update(seen)
            memory.reports[-1] = replace(memory.reports[-1], seen=tuple(seen.items()))
            self._correct(memory.waiting)
        memory.goal_seen |= self._goal() is True
        memory.waiting = None

    def _correct(self, act: Act) -> None:
        """Flip a switch back if it went the other way than asked."""
        wrong = act.do == "set" and self._memory.facts.get(act.concept, act.state) != act.state
        if wrong and self._memory.reports[-1].tool in WRITE_TOOLS and len(self._memory.reports) < 4:
            refused = "cannot" in self._memory.reports[-1].content.lower()
            if not refused:
                self._memory.plan.insert(0, act)

    # --- judging ------------------------------------------------------------------------------------

    def _goal(self) -> bool | None:
        """Return whether the last tool results show that the problem is solved; None if they do not tell."""
        facts = self._memory.facts
        if self.scenario.family == "service_issue":
            return facts["signal"] != "none" if "signal" in facts else None
        if self.scenario.family == "mobile_data_issue":
            return facts["speed"] == "excellent" if "speed" in facts else None
        return bool(facts["mms"]) if "mms" in facts else None

    def _is_met(self, condition: Condition) -> bool | None:
        raw = self._memory.verdicts.get(condition.key) if condition.key else None
        if raw is None:
            raw = self._judge(condition)
        if raw is None:
            return None
        if condition.key:
            self._memory.verdicts[condition.key] = raw
        return raw is not condition.negated

    def _judge(self, condition: Condition) -> bool | None:
        facts = self._memory.facts
        if condition.fact == "abroad":
            return self.scenario.abroad
        value = self._goal() if condition.fact == "goal" else facts.get(condition.fact)
        if value is None:
            return None
        if isinstance(value, tuple):
            return all(name in value for name in condition.values)
        return value in condition.values

    # --- reporting ----------------------------------------------------------------------------------

    def _report(self) -> Message:
        memory, speech = self._memory, self._speech
        goal = self._goal()
        told = [speech.report(report, memory.turn) for report in memory.reports if not report.silent]
        parts = [*memory.answers, *told, *memory.notes]
        if memory.gives_up and not told:
            return self._say(f"{speech.pick('out_of_scope', memory.turn)} {OUT_OF_SCOPE}")
        if goal and memory.reports:
            return self._say(" ".join((*parts, speech.resolved(memory.turn), STOP)))
        if (
            self.scenario.persona == "Hard"
            and not memory.worried
            and any(r.tool == "reboot_device" for r in memory.reports)
        ):
            memory.worried = True
            parts.append(speech.pick("photos", memory.turn))
        if goal is False and memory.writes and memory.reports:
            if not memory.frustrated:
                memory.frustrated = True
                parts.append(speech.pick("frustrated", memory.turn))
            elif any(report.tool == self._goal_tool for report in memory.reports):
                parts.append(speech.not_resolved(memory.turn))
        text = " ".join(part for part in (*parts, *memory.questions) if part)
        return self._say(speech.framed(text, bool(told), bool(memory.questions), memory.turn))

    def _say(self, text: str) -> Message:
        return Message(role="user", content=text.strip() or self._speech.pick("ask_next", self._memory.turn))


def _from_before(act: Act) -> Act:
    """Return an act of an earlier message, with conditions that are not taken for those of a later one."""
    own = tuple(replace(each, key=each.key + _EARLIER) if each.key else each for each in act.conditions)
    return replace(act, conditions=own)


_EARLIER = 10_000
"""Added to the keys of the conditions of an earlier message."""
_FORGOTTEN = {
    "reseat_sim_card": ("sim",),
    "reboot_device": ("sim", "apn", "mmsc"),
    "reset_apn_settings": ("apn", "mmsc"),
    "set_apn_settings": ("apn", "mmsc"),
    "toggle_airplane_mode": ("wifi",),
}
"""Facts that are not known any more after a change, besides those that change by themselves."""
