"""Reading scenarios from the free text of benchmark records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from telegym.core.errors import TaskError
from telegym.envs.tau2_telecom.scenario import UserScenario

ROAMER = {
    "persona": None,
    "instructions": {
        "domain": "telecom",
        "reason_for_call": "You cannot send MMS since this morning.",
        "known_info": "You are Maria van der Berg with phone number 555-987-0001. You are now traveling in Japan.",
        "unknown_info": None,
        "task_instructions": "You are willing to refuel 1.5 GB of data, but you do not want to change your plan.",
    },
}


def record(**changes: Any) -> dict[str, Any]:
    """Return a user scenario of the benchmark's shape with these instructions."""
    return {"persona": None, "instructions": ROAMER["instructions"] | changes}  # type: ignore[operator]


def read(**changes: Any) -> UserScenario:
    return UserScenario.from_benchmark(record(**changes))


def test_reads_the_facts() -> None:
    scenario = UserScenario.from_benchmark(ROAMER)
    assert (scenario.name, scenario.phone_number) == ("Maria van der Berg", "555-987-0001")
    assert (scenario.location, scenario.abroad) == ("traveling in Japan", True)
    assert (scenario.family, scenario.persona) == ("mms_issue", "None")
    assert (scenario.refuel_gb, scenario.accepts_plan_change, scenario.pays_bills) == (1.5, False, False)
    assert (scenario.since, scenario.first_name) == ("since this morning", "Maria")
    assert (scenario.date_of_birth, scenario.customer_id, scenario.has_wifi) == (None, None, None)


def test_reads_a_whole_task_too() -> None:
    assert UserScenario.from_benchmark({"id": "x", "user_scenario": ROAMER}) == UserScenario.from_benchmark(ROAMER)


def test_reads_instructions_that_are_one_text() -> None:
    text = (
        "You are Li Wei and your phone number is 555-111-2222. Your phone shows No Service. You pay bills if asked to."
    )
    scenario = UserScenario.from_benchmark({"instructions": text})
    assert (scenario.name, scenario.phone_number, scenario.family) == ("Li Wei", "555-111-2222", "service_issue")
    assert scenario.pays_bills


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("You are willing to refuel 2.0 GB of data if necessary.", 2.0),
        ("You agree to buy 1 gigabyte of extra data.", 1.0),
        ("You accept to top up 0.5 GB.", 0.5),
        ("You do not want to refuel 2 GB of data.", None),
        ("You refuse to refuel.", None),
        ("You have used 15.1 GB.", None),
    ],
)
def test_the_amount_agreed(text: str, amount: float | None) -> None:
    assert read(task_instructions=text).refuel_gb == amount


@pytest.mark.parametrize(
    ("text", "location", "abroad"),
    [
        ("You are currently abroad in France.", "abroad in France", True),
        ("You are currently at home in the United States.", "at home in the United States", False),
        ("You're overseas in Norway.", "overseas in Norway", True),
        ("You are not traveling.", "not traveling", False),
        ("You like tea.", None, None),
    ],
)
def test_where_the_user_is(text: str, location: str | None, abroad: bool | None) -> None:
    scenario = read(known_info=f"You are Jo Ray with phone number 555-000-1234. {text}")
    assert (scenario.location, scenario.abroad) == (location, abroad)
    assert scenario.name == "Jo Ray"


@pytest.mark.parametrize(
    ("reason", "family"),
    [
        ("Your phone has been showing 'No Service' for the past few hours.", "service_issue"),
        ("You lost all reception on your phone.", "service_issue"),
        ("You mobile data is not working properly.", "mobile_data_issue"),
        ("The internet on your phone crawls.", "mobile_data_issue"),
        ("You cannot send picture messages.", "mms_issue"),
        ("Your MMS do not go out.", "mms_issue"),
    ],
)
def test_what_is_wrong(reason: str, family: str) -> None:
    assert read(reason_for_call=reason).family == family


@pytest.mark.parametrize(
    ("known", "birth", "customer"),
    [
        ("You were born on June 15, 1985. Your customer ID is C1001.", "1985-06-15", "C1001"),
        ("Your date of birth is 1990-11-22.", "1990-11-22", None),
    ],
)
def test_what_else_the_user_knows(known: str, birth: str, customer: str | None) -> None:
    scenario = read(known_info=f"You are Jo Ray with phone number 555-000-1234. {known}")
    assert (scenario.date_of_birth, scenario.customer_id) == (birth, customer)


@pytest.mark.parametrize(
    ("text", "persona"),
    [
        (None, "None"),
        ("Easy", "Easy"),
        ("You are friendly and patient, and confirm each step.", "Easy"),
        ("You are retired, easily flustered and need reassurance.", "Hard"),
    ],
)
def test_who_the_user_is(text: str | None, persona: str) -> None:
    assert UserScenario.from_benchmark(ROAMER | {"persona": text}).persona == persona


def test_a_record_that_says_nothing_is_an_error_that_says_what_is_missing() -> None:
    with pytest.raises(TaskError, match="Did you mean 'instruction'"):
        UserScenario.from_benchmark({"instruction": {}})
    with pytest.raises(TaskError, match="no service, mobile data"):
        read(reason_for_call="You want a pizza.", task_instructions="")


def test_amounts_must_be_positive() -> None:
    with pytest.raises(ValidationError, match="a positive number"):
        UserScenario(name="A", phone_number="1", family="mms_issue", refuel_gb=0)


def test_every_published_scenario(tau2_data: Path) -> None:
    tasks = json.loads((tau2_data / "data/tau2/domains/telecom/tasks.json").read_text(encoding="utf-8"))
    for task in tasks:
        scenario = UserScenario.from_benchmark(task["user_scenario"])
        family, persona = task["id"].partition("]")[0][1:], task["id"].rpartition("PERSONA:")[2][:-1]
        assert (scenario.name, scenario.phone_number) == ("John Smith", "555-123-2002")
        assert (scenario.family, scenario.persona) == (family, persona)
        assert scenario.refuel_gb == (None if family == "service_issue" else 2.0)
        assert scenario.pays_bills == (family == "service_issue")
        assert not scenario.accepts_plan_change
        assert (scenario.abroad is None) == (family == "service_issue")


def test_since_is_only_the_time() -> None:
    scenario = UserScenario.from_benchmark(
        {"instructions": {"reason_for_call": "For some hours your phone has had no signal at all."}}
    )
    assert scenario.since == "for some hours"
