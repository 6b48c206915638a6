"""UserScenario: everything a simulated telecom customer knows, wants and agrees to.

The native generator builds scenarios from facts. A benchmark record states the same facts in free text, and
`UserScenario.from_benchmark` reads them back. What a scenario does not state is None: the user does not know it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, field_validator

from telegym.core.errors import TaskError, did_you_mean

__all__ = ["Family", "Persona", "UserScenario"]

Family = Literal["service_issue", "mobile_data_issue", "mms_issue"]
"""What does not work: the whole service, the mobile data, or picture messages."""

Persona = Literal["None", "Easy", "Hard"]
"""How the user talks: neutral, friendly and detailed, or anxious and terse."""

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_NAME_WORD = r"[^\W\d_a-z][\w.'’-]*"
_NAME_FORMS = (
    rf"(?i:\b(?:your (?:full )?name is|name\s*:|you(?:'re| are) called))\s+({_NAME_WORD}(?:\s+{_NAME_WORD})*)",
    rf"(?i:\byou(?:'re| are))\s+({_NAME_WORD}(?:\s+(?:(?:van|von|de|der|da|di|la|el|bin|al)\s+)*{_NAME_WORD})+)",
    rf"(?i:\byou(?:'re| are))\s+({_NAME_WORD})\s+(?i:with|and your)",
)
_PHONE = r"(\+?\(?\d[\d().\s-]{5,}\d)"
_ABROAD = re.compile(
    r"\b(abroad|overseas|travel(?:l?ing|s)?|foreign country|on (?:a )?(?:trip|vacation|holiday)|outside (?:of )?"
    r"(?:the|your|my)(?: \w+){0,2} (?:country|network|area|states))\b",
    re.I,
)
_NOT_ABROAD = re.compile(
    r"\b(not|n't|never|neither)\b[^.]{0,25}\b(abroad|overseas|travel|outside|foreign)|\bat home\b|\bhome network\b",
    re.I,
)
_MMS = re.compile(r"\bmms\b|\b(?:picture|photo|multimedia|group) (?:message|messaging|text)", re.I)
_PURCHASE = re.compile(r"[^,;]*\b(?:refuel\w*|top[- ]?ups?|top\w* up|add\w*|buy\w*|purchas\w*)\b[^;]*", re.I)
_SINCE = re.compile(
    r"\bfor (?:about |around )?\w+ (?:hour|day|minute|week)s?\b"
    r"|\b(?:(?:for|over) (?:the )?(?:past|last)|since)\b[^.,;!?\n]*",
    re.I,
)
_REFUSAL = re.compile(r"\b(not|n't|never|refuse|unwilling|reluctant|decline|no)\b", re.I)


class UserScenario(BaseModel):
    """The facts behind one simulated customer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Full name."""
    phone_number: str
    """Number of the line that has the problem."""
    location: str | None = None
    """Where the user is, as it completes "I am …", for example `abroad in France`."""
    abroad: bool | None = None
    """Whether that is outside the home network; None if the scenario does not say."""
    family: Family
    """What does not work."""
    persona: Persona = "None"
    """How the user talks."""
    persona_text: str | None = None
    """Description of the person in words, for a user played by a model; None takes the standard text."""
    reason_for_call: str = ""
    """Why the user calls, in the second person."""
    known_info: str = ""
    """What the user knows, in the second person."""
    task_instructions: str = ""
    """How the user behaves and what settles the matter, in the second person."""
    refuel_gb: float | None = None
    """Gigabytes of extra data the user agrees to buy; None if no purchase was agreed."""
    accepts_plan_change: bool = False
    """Whether the user would move to another plan."""
    pays_bills: bool = True
    """Whether the user pays an overdue bill when asked."""
    date_of_birth: str | None = None
    """Date of birth as `YYYY-MM-DD`, or None if the user does not give it."""
    customer_id: str | None = None
    """Customer id, or None if the user does not know it."""
    has_wifi: bool | None = None
    """Whether a Wi-Fi network is at hand; None if the scenario does not say."""

    @field_validator("refuel_gb")
    @classmethod
    def _positive_amount(cls, amount: float | None) -> float | None:
        if amount is not None and not 0 < amount < float("inf"):
            raise ValueError(f"refuel_gb is {amount!r}; valid: a positive number, or None")
        return amount

    @property
    def since(self) -> str | None:
        """When the trouble began, as it completes "It has been like this …", or None if the scenario does not say."""
        found = _SINCE.search(f"{self.reason_for_call} {self.known_info}")
        return found[0][0].lower() + found[0][1:].strip() if found else None

    @property
    def first_name(self) -> str:
        """The first word of the name."""
        return self.name.split()[0] if self.name.split() else self.name

    @classmethod
    def from_benchmark(cls, record: Mapping[str, Any]) -> Self:
        """Read the `user_scenario` of a tau2-bench task (or a whole task that has one).

        Args:
            record: The JSON object: `persona` and `instructions`, which is either an object with `reason_for_call`,
                `known_info` and `task_instructions`, or one text.

        Raises:
            TaskError: If there are no instructions, or no problem can be recognised in them.
        """
        scenario = record.get("user_scenario") or record
        reason, known, task = _instructions(scenario)
        everything = " ".join((known, reason, task))
        location, abroad = _location(everything)
        return cls(
            name=_first(_NAME_FORMS, known) or _first(_NAME_FORMS, everything) or "",
            phone_number=_phone(known) or _phone(everything) or "",
            location=location,
            abroad=abroad,
            family=_family(reason, task),
            persona=_persona(scenario.get("persona")),
            persona_text=scenario.get("persona"),
            reason_for_call=reason,
            known_info=known,
            task_instructions=task,
            refuel_gb=_refuel(everything),
            accepts_plan_change=_accepts(everything, r"\b(?:chang\w*|switch\w*|upgrad\w*)\b[^.,;]{0,30}\bplans?\b"),
            pays_bills=_accepts(everything, r"\b(?:pay|pays|paying|payment)\b[^.;]{0,40}"),
            date_of_birth=_date_of_birth(everything),
            customer_id=_first((r"\b(C\d{3,})\b", r"(?i:customer\s+id)\s*(?:is|:)?\s*(\w*\d\w*)"), everything),
            has_wifi=_has_wifi(everything),
        )


def _instructions(scenario: Mapping[str, Any]) -> tuple[str, str, str]:
    instructions = scenario.get("instructions")
    if isinstance(instructions, str) and instructions.strip():
        return instructions, instructions, instructions
    if not isinstance(instructions, Mapping):
        keys = ", ".join(map(repr, scenario)) or "none"
        raise TaskError(
            f"user scenario: 'instructions' is {instructions!r}, expected an object or a text; its keys: {keys}."
            f"{did_you_mean('instructions', scenario)}"
        )
    reason, known, task = (
        str(instructions.get(key) or "") for key in ("reason_for_call", "known_info", "task_instructions")
    )
    return reason, known, task


def _family(reason: str, task: str) -> Family:
    """Recognise the problem in the reason for the call, or failing that in how the matter is settled."""
    for text in (reason, task):
        if _MMS.search(text) and (text is reason or not re.search(r"speed|signal", text, re.I)):
            return "mms_issue"
        if re.search(r"\bdata\b|\binternet\b|\bbrows|\bspeed", text, re.I):
            return "mobile_data_issue"
        if re.search(r"\bservice\b|\bsignal\b|\bcalls?\b|\breception\b|\bcoverage\b|\bnetwork\b", text, re.I):
            return "service_issue"
    raise TaskError(
        f"user scenario: cannot tell the problem from reason_for_call {reason!r}; "
        "valid: no service, mobile data (internet, speed), or MMS (picture messages)"
    )


def _persona(text: str | None) -> Persona:
    if text is None or not text.strip() or text.strip() == "None":
        return "None"
    if text.strip() in ("Easy", "Hard"):
        return "Hard" if text.strip() == "Hard" else "Easy"
    hard = r"\b64\b|librarian|retired|flustered|anxious|uneasy|overwhelm|foreign language|quite limited|reassurance"
    easy = r"\b41\b|administrator|patient|friendly|confirm|attentive|detailed feedback|average"
    return "Hard" if len(re.findall(hard, text, re.I)) > len(re.findall(easy, text, re.I)) else "Easy"


def _first(patterns: tuple[str, ...], text: str) -> str | None:
    for pattern in patterns:
        if found := re.search(pattern, text):
            return found[1].strip().rstrip(".,;")
    return None


def _phone(text: str) -> str | None:
    return _first((rf"(?i:phone(?:\s+number)?|number|line)\s*(?:is|:|of)?\s*{_PHONE}", r"(\d{3}-\d{3}-\d{4})"), text)


def _sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?;])\s+|\n+", text) if part.strip()]


def _location(text: str) -> tuple[str | None, bool | None]:
    for sentence in _sentences(text):
        home, away = _NOT_ABROAD.search(sentence), _ABROAD.search(sentence)
        place = re.search(
            r"\b(?:you(?:'re| are)|currently|located|staying)\s+(?:currently |now |located |staying )*"
            r"((?:abroad|at home|overseas|travel\w*|visiting|in|on|outside|not)\b[^.;!?\n]*)",
            sentence,
            re.I,
        )
        if home or away:
            return (place[1].strip() if place else ("at home" if home else "abroad")), home is None
        if place and place[1].lower().startswith("in "):
            return place[1].strip(), None
    return None, None


def _refuel(text: str) -> float | None:
    for sentence in _sentences(text):
        clause = _PURCHASE.search(sentence)
        amount = re.search(r"(\d+(?:\.\d+)?)\s*(?:GB|gigabytes?)\b", clause[0], re.I) if clause else None
        if clause and amount and not _REFUSAL.search(clause[0][: amount.start()]):
            return float(amount[1]) or None
    return None


def _accepts(text: str, what: str) -> bool:
    """Whether some sentence grants `what`, and none refuses it."""
    granted = False
    for sentence in _sentences(text):
        if found := re.search(what, sentence, re.I):
            clause = re.split(r"\bbut\b|,", sentence[: found.start()])[-1]
            if _REFUSAL.search(clause) or re.search(r"\b(refuse|decline)\b", sentence[found.start() :], re.I):
                return False
            granted = True
    return granted


def _date_of_birth(text: str) -> str | None:
    found = re.search(r"(?:born|birth\w*|dob)\D{0,20}?(\d{4}-\d{2}-\d{2})", text, re.I)
    if found:
        return found[1]
    months = "|".join(_MONTHS)
    day = rf"\b({months})\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})"
    found = re.search(rf"(?:born|birth\w*|dob)\W[^.\n]{{0,20}}?{day}", text, re.I)
    if not found:
        return None
    return f"{found[3]}-{_MONTHS.index(found[1].lower()) + 1:02d}-{int(found[2]):02d}"


def _has_wifi(text: str) -> bool | None:
    for sentence in _sentences(text):
        if re.search(r"\bwi-?fi\b(?!\s*calling)", sentence, re.I):
            return not _REFUSAL.search(sentence)
    return None
