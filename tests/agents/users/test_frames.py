"""Every way to ask for something, with everything that can be asked for, and every way not to ask for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from telegym.agents.users.acts import Context
from telegym.agents.users.meaning import understand
from tests.agents.users.test_meaning import spelled

FRAMES: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "frames.yaml").read_text(encoding="utf-8"))


def heard(said: str) -> list[str]:
    """Return what a sentence makes the user do."""
    return [spelled(act) for act in understand(said, Context("mms_issue")).acts]


def changes(said: str) -> list[str]:
    """Return what a sentence makes the user change."""
    return [act for act in heard(said) if act.split()[0] in ("set", "call", "toggle", "power")]


def capital(text: str) -> str:
    """Return a text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def filled(frame: str, operation: dict[str, str]) -> str:
    """Return a frame filled with an operation."""
    return frame.format(**operation, G=capital(operation["g"]), N=capital(operation["n"]))


@pytest.mark.parametrize("frame", FRAMES["requests"])
def test_a_request_is_followed(frame: str) -> None:
    for operation in FRAMES["operations"]:
        assert changes(filled(frame, operation)) == [operation["do"]], filled(frame, operation)


@pytest.mark.parametrize("frame", FRAMES["no_requests"])
def test_what_is_no_request_changes_nothing(frame: str) -> None:
    for operation in FRAMES["operations"]:
        assert changes(filled(frame, operation)) == [], filled(frame, operation)


@pytest.mark.parametrize("frame", FRAMES["looks"])
def test_a_request_to_look_is_followed(frame: str) -> None:
    for thing, act in FRAMES["readings"].items():
        assert heard(frame.format(x=thing)) == [act], frame.format(x=thing)


@pytest.mark.parametrize("frame", FRAMES["no_looks"])
def test_what_is_no_request_to_look_is_none(frame: str) -> None:
    for thing in FRAMES["readings"]:
        assert heard(frame.format(x=thing)) == [], frame.format(x=thing)


@pytest.mark.parametrize("frame", FRAMES["conditions"])
def test_a_condition_goes_with_the_request(frame: str) -> None:
    for state in FRAMES["states"]:
        said = frame.format(**{each: state[each] for each in "xst"})
        assert changes(said) == [f"{state['do']} if {state['fact']}"], said


@pytest.mark.parametrize("frame", FRAMES["findings"])
def test_it_refers_to_what_was_found(frame: str) -> None:
    for state in FRAMES["states"]:
        said = frame.format(x=state["x"], X=capital(state["x"]), s=state["s"], t=state["t"])
        assert changes(said) == [state["do"]], said
