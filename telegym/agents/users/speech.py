"""Speech: the words of the scripted user, from `texts/phrases.yaml`."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from telegym.agents.users.acts import Act, Condition
from telegym.agents.users.lexicon import load_texts
from telegym.agents.users.readings import SWITCH_TOOLS, WRITE_TOOLS
from telegym.envs.tau2_telecom.scenario import UserScenario

__all__ = ["Report", "Speech"]


@dataclass(frozen=True)
class Report:
    """One tool call of a turn, to be told."""

    tool: str
    """Name of the tool."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Arguments of the call."""
    content: str = ""
    """The result."""
    error: bool = False
    """Whether the call failed."""
    facts: tuple[str, ...] = ()
    """What was to be found out; empty for everything."""
    seen: tuple[tuple[str, Any], ...] = ()
    """The facts the result states."""
    silent: bool = False
    """Whether nobody asked for this look: it came before an action."""


@cache
def _phrases() -> dict[str, Any]:
    phrases: dict[str, Any] = load_texts("phrases")
    return phrases


class Speech:
    """Chooses words.

    Args:
        scenario: Who speaks.
        seed: Varies the choice between equivalent phrases.
    """

    def __init__(self, scenario: UserScenario, seed: int) -> None:
        self._scenario = scenario
        self._seed = seed
        self._data = _phrases()

    def pick(self, key: str, turn: int, **fields: Any) -> str:
        """Return a phrase of the persona for this key and turn."""
        own = self._data[self._scenario.persona]
        variants = own[key] if key in own else self._data["None"][key]
        if isinstance(variants, dict):
            variants = variants[self._scenario.family]
        text: str = random.Random(f"{self._seed}/{turn}/{key}").choice(variants)
        return text.format(**{**self._fields(), **fields})

    def _fields(self) -> dict[str, Any]:
        scenario = self._scenario
        return {
            "name": scenario.name,
            "phone": scenario.phone_number,
            "birth": scenario.date_of_birth,
            "customer": scenario.customer_id,
            "location": scenario.location,
            "amount": scenario.refuel_gb,
            "since": f" {scenario.since}" if scenario.since else "",
        }

    def opening(self, turn: int) -> str:
        """Return why the user calls."""
        return self.pick("opening", turn)

    def personal(self, topic: str, turn: int) -> str | None:
        """Return the answer to a question about the person, or None if the scenario has none."""
        scenario = self._scenario
        if topic == "reason":
            return self.pick("reason_again", turn)
        if topic == "location":
            if scenario.location:
                return self.pick("location", turn)
            return None if scenario.abroad is None else self.pick("abroad" if scenario.abroad else "home", turn)
        if topic == "since":
            return self.pick("since", turn, since=scenario.since) if scenario.since else None
        if topic == "which_app":
            return self.pick("which_app", turn) if scenario.family == "mms_issue" else None
        if topic == "wifi_access":
            return (
                None if scenario.has_wifi is None else self.pick("has_wifi" if scenario.has_wifi else "no_wifi", turn)
            )
        return self.pick(topic, turn) if getattr(scenario, topic) else None

    def consent(self, topic: str, amount: float | None, turn: int) -> str:
        """Return the answer to a question for agreement."""
        scenario = self._scenario
        if topic == "refuel":
            return self._refuel(amount, turn)
        if topic == "plan":
            return self.pick("plan_yes" if scenario.accepts_plan_change else "plan_no", turn)
        if topic == "pay":
            return self.pick("pay_yes" if scenario.pays_bills else "pay_no", turn)
        answers = {"transfer": "transfer_yes", "suspend": "suspend_no", "unknown": "offer_no"}
        return self.pick(answers.get(topic, "consent_yes"), turn)

    def _refuel(self, amount: float | None, turn: int) -> str:
        agreed = self._scenario.refuel_gb
        if agreed is None:
            return self.pick("refuel_no", turn)
        if amount is None:
            return self.pick("refuel_amount", turn)
        if abs(amount - agreed) < 1e-9:
            return self.pick("refuel_yes", turn)
        return self.pick("refuel_too_much" if amount > agreed else "refuel_too_little", turn)

    def fact(self, name: str, value: Any) -> str:
        """Return a fact in words, for example `airplane mode is on`."""
        forms = self._data["facts"][name.partition("/")[0]]
        shown = (", ".join(value) or "none") if isinstance(value, tuple) else value
        key = str(value).lower() if isinstance(value, bool) else shown
        text: str = forms.get(key) or forms["other"]
        return text.format(value=shown)

    def report(self, report: Report, turn: int) -> str:
        """Return what a tool call showed."""
        if report.error:
            return self.pick("error", turn, result=_one_line(report.content))
        facts = dict(report.seen)
        known = [name for name in report.facts if name in facts]
        if known and len(known) == len(report.facts):
            return _sentence("; ".join(self.fact(name, facts[name]) for name in known))
        result = self._result(report)
        return _sentence(self._data["reports"][report.tool].format(result=result, **report.arguments))

    def _result(self, report: Report) -> str:
        """Return the result in one line; a terse person leaves out the status bar nobody asked about."""
        content = report.content.strip()
        if report.tool == "check_status_bar":
            return _one_line(content.removeprefix("Status Bar:"))
        if self._scenario.persona == "Hard" and report.tool in WRITE_TOOLS:
            content = content.partition("\nStatus Bar:")[0]
        return _one_line(content)

    def already(self, act: Act, turn: int) -> str:
        """Return that a switch is in the desired state."""
        thing: str = self._data["things"][act.concept]
        state = (
            ("connected" if act.state else "disconnected") if act.concept == "vpn" else ("on" if act.state else "off")
        )
        return self.pick("already", turn, thing=thing, Thing=thing[0].upper() + thing[1:], state=state)

    def skipped(self, condition: Condition, facts: dict[str, Any], turn: int) -> str:
        """Return why something was not done."""
        if condition.fact not in facts:
            return self.pick("skipped_plain", turn)
        fact = self.fact(condition.fact, facts[condition.fact])
        return self.pick("skipped", turn, fact=fact[0].upper() + fact[1:])

    def about_action(self, key: str, act: Act, turn: int) -> str:
        """Return a question about an action, for example whether to restart the phone."""
        actions = self._data["actions"]
        concept = act.concept or next((name for name, tool in SWITCH_TOOLS.items() if tool == act.tool), "")
        template: str = actions.get(act.tool) or actions.get(act.do) or actions["other"]
        state = "on" if act.state else "off"
        fields = {"thing": self._data["things"].get(concept, ""), "state": state, **dict(act.arguments)}
        return self.pick(key, turn, action=template.format(**fields))

    def resolved(self, turn: int) -> str:
        """Return thanks."""
        return self.pick("resolved", turn)

    def not_resolved(self, turn: int) -> str:
        """Return that the problem is still there."""
        return self.pick("not_resolved", turn)

    def framed(self, text: str, told: bool, asks: bool, turn: int) -> str:
        """Return the message as the persona would begin and end it."""
        if not told:
            return text
        return f"{self.pick('lead', turn)}{text}{'' if asks else self.pick('done', turn)}"


def _one_line(text: str) -> str:
    lines = [re.sub(r"^[\s\-*]+", "", line).strip() for line in text.strip().splitlines()]
    return "; ".join(line for line in lines if line).strip()


def _sentence(text: str) -> str:
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
