"""Conversations with a person: what is referred to, agreed to and announced."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from telegym.agents.users.readings import WRITE_TOOLS
from tests.agents.users.phones import BROKEN, Person, Turn

DIALOGUES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "dialogues.yaml").read_text(encoding="utf-8"))
FAMILIES = {"mms": "mms_issue", "data": "mobile_data_issue"}
SPECIAL: dict[str, dict[str, Any]] = {
    "birth": {"date_of_birth": "1980-02-03"},
    "home": {"location": "at home", "abroad": False},
    "norefuel": {"refuel_gb": None},
    "nopay": {"pays_bills": False},
    "pays": {"pays_bills": True},
}
SPELLED_OUT = ("grant_app_permission", "set_network_mode_preference")


def person(special: list[str]) -> Person:
    """Return the person that a dialogue describes."""
    facts: dict[str, Any] = {"family": next((FAMILIES[each] for each in special if each in FAMILIES), "service_issue")}
    for each in special:
        facts |= SPECIAL.get(each, {})
    return Person([] if "healthy" in special else BROKEN, **facts)


def calls_of(turn: Turn) -> list[str]:
    """Return the calls of a turn as the dialogues write them."""
    return [
        f"{name}({','.join(map(str, arguments.values()))})" if name in SPELLED_OUT else name
        for name, arguments in zip(turn.calls, turn.arguments, strict=True)
    ]


def changes(calls: list[str]) -> list[str]:
    """Return those calls that change something."""
    return [call for call in calls if call.partition("(")[0] in WRITE_TOOLS]


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=[str(each["turns"][-1]["say"])[:60] for each in DIALOGUES])
def test_dialogue(dialogue: dict[str, Any]) -> None:
    caller = person(dialogue["person"])
    for turn in dialogue["turns"]:
        heard = caller.hear(turn["say"])
        if "calls" in turn:
            calls, expected = calls_of(heard), turn["calls"]
            assert changes(calls) == changes(expected)
            assert set(expected) <= set(calls)
            assert expected or not calls
        if "answer" in turn:
            assert re.search(turn["answer"], heard.text, re.S), heard.text
