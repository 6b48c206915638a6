"""Conditions: what "if it is off" means."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from telegym.agents.users.acts import Condition, Context
from telegym.agents.users.concepts import SWITCHES, Found, app_name, find_concepts, mode_name, permission_names
from telegym.agents.users.lexicon import grammar, grammar_table, lexicon

__all__ = ["find_condition", "state_of"]


def state_of(text: str) -> bool | None:
    """Return whether a text says on or off, with negation."""
    patterns = lexicon().patterns
    off, on = patterns["state_off"].search(text), patterns["state_on"].search(text)
    negated = patterns["negated_state"].search(text) is not None
    if off and not (on and on.start() < off.start() and not negated):
        plain = grammar("plain_off").search(text)
        return negated if plain and negated and grammar("not_off").search(text) else False
    if on:
        return not negated
    return None


def find_condition(text: str, marker: str, context: Context, found: list[Found] | None = None) -> Condition:
    """Return the condition that a clause states; its fact is `?` if it was not understood."""
    condition = _condition(text.strip(" ,.?!"), context, find_concepts(text) if found is None else found)
    return replace(condition, negated=not condition.negated) if marker.startswith("unless") else condition


def _condition(text: str, context: Context, found: list[Found]) -> Condition:
    last = context.condition
    if last and grammar("is_so").match(text):
        return last
    if last and grammar("is_not_so").match(text):
        return replace(last, negated=not last.negated)
    if re.search(r"\bexcellent\b", text) and (condition := _speed_condition(text)):
        return condition
    if grammar("away").search(text) and "you" in text:
        return Condition("abroad", negated=re.search(r"\bnot\b|n't\b", text) is not None)
    for each in found:
        if condition := _condition_on(each, text):
            return condition
    if found and found[0].concept not in ("phone", "agent_data", "line_roaming", "internet", "app"):
        return Condition("?")
    return _condition_without_object(text, context)


def _condition_without_object(text: str, context: Context) -> Condition:
    focus = [
        each for each in reversed(context.focus) if each in (*SWITCHES, "sim", "network_mode", "apn", "permissions")
    ]
    pronoun = grammar("condition_pronoun").match(text)
    for each in focus if pronoun else ():
        if condition := _condition_on(Found(each, 0, 0, each), text):
            return condition
    if "permissions" in context.focus and permission_names(text, loose=True):
        return _permission_condition(text) or Condition("?")
    works = grammar("works").search(text)
    fails = grammar("fails").search(text)
    negated = re.search(r"\bnot\b|n't\b|\bno\b", text) is not None
    if works:
        return Condition("goal", negated=negated)
    return Condition("goal", negated=not negated) if fails else Condition("?")


def _condition_on(each: Found, text: str) -> Condition | None:
    concept = each.concept
    if concept in SWITCHES and (concept != "data" or not re.search(r"\bwork", text)):
        state = state_of(text)
        if state is None and concept in ("vpn", "airplane", "saver", "wifi_calling") and grammar("in_use").search(text):
            state = re.search(r"\bnot\b|n't\b|\bno\b", text) is None
        return None if state is None else Condition(concept, (state,))
    reader = _CONDITIONS.get(concept)
    return reader(text) if reader else None


def _sim_condition(text: str) -> Condition | None:
    state = next((name for name, pattern in grammar_table("sim_states") if pattern.search(text)), None)
    if state == "active" and re.search(r"\bnot\b|n't\b|\bno\b", text):
        return Condition("sim", ("active",), negated=True)
    negated = state != "active" and re.search(r"\b(?:isn't|not|wasn't) (?:missing|locked)\b", text) is not None
    return Condition("sim", (state,), negated=negated) if state else None


def _signal_condition(text: str) -> Condition | None:
    none = grammar("no_signal").search(text) is not None
    if re.search(r"airplane", text):
        return Condition("airplane", (not none,))
    return Condition("signal", ("none",), negated=not none)


def _speed_condition(text: str) -> Condition | None:
    negated = grammar("not_speed").search(text) is not None
    if "excellent" in text or re.search(r"\bfast\b|\bfine\b", text):
        return Condition("speed", ("excellent",), negated=negated)
    if grammar("no_connection").search(text):
        return Condition("speed", ("no connection",))
    if grammar("speed_words").search(text):
        good = re.search(r"\b(?:improv\w*|good)\b", text) is not None and not negated
        return Condition("speed", ("excellent",), negated=not good)
    return Condition("speed", ("excellent",), negated=True) if negated else None


def _data_condition(text: str) -> Condition:
    return Condition("speed", ("no connection",), negated=re.search(r"\bnot\b|n't\b|\bno\b", text) is None)


def _mms_condition(text: str) -> Condition | None:
    fails = grammar("mms_fails").search(text) is not None
    return Condition("mms", (not fails,))


def _mode_condition(text: str) -> Condition | None:
    negated = grammar("not_mode").search(text) is not None
    values = tuple(
        dict.fromkeys(mode_name(e.text, text[e.end :]) for e in find_concepts(text) if e.concept == "mode_value")
    )
    if values:
        return Condition("mode", values, negated=negated)
    if re.search(r"\b(?:old\w*|slow\w*|low\w*)\b", text):
        return Condition("mode", ("2g_only", "3g_only"))
    return None


def _technology_condition(text: str) -> Condition | None:
    if re.search(r"\bprefer|\bset\b|\bmode\b|\binclud", text):
        return _mode_condition(text)
    values = tuple(dict.fromkeys(v.upper().replace("LTE", "4G") for v in re.findall(r"\b(?:[2-5]g|lte)\b", text)))
    return Condition("technology", values, negated=re.search(r"\bnot\b|n't\b", text) is not None) if values else None


def _apn_condition(text: str) -> Condition | None:
    bad = grammar("apn_bad").search(text) is not None
    if "mmsc" in text or re.search(r"\b(?:missing|blank|empty|not set|unset)\b", text):
        return Condition("mmsc", (not bad,))
    if re.search(r"\binternet\b", text):
        return Condition("apn", ("internet",), negated=bad)
    return Condition("apn", ("internet",), negated=True) if bad else None


def _permission_condition(text: str) -> Condition | None:
    app = app_name(text) or "messaging"
    names = permission_names(f"{text} permission") or ("sms", "storage")
    lacking = grammar("permission_lacking").search(text) is not None
    return Condition(f"permissions/{app}", names, negated=lacking)


def _payment_condition(text: str) -> Condition | None:
    return Condition("payment", (re.search(r"\bnot\b|n't\b|\bno\b", text) is None,))


_CONDITIONS: dict[str, Callable[[str], Condition | None]] = {
    "sim": _sim_condition,
    "status_bar": _signal_condition,
    "network_status": lambda text: _technology_condition(text) or _signal_condition(text),
    "speed": _speed_condition,
    "internet": lambda text: Condition(
        "speed", ("no connection",), negated=re.search(r"\bnot\b|n't\b|\bno\b", text) is None
    ),
    "data": lambda text: Condition(
        "speed", ("no connection",), negated=re.search(r"\bnot\b|n't\b|\bno\b", text) is None
    ),
    "mms": _mms_condition,
    "network_mode": _mode_condition,
    "mode_value": _technology_condition,
    "apn": _apn_condition,
    "permissions": _permission_condition,
    "payment": _payment_condition,
}
