"""What requests mean: a corpus of things an agent may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from telegym.agents.users.acts import Act, Context
from telegym.agents.users.meaning import understand

CORPUS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "corpus.yaml").read_text(encoding="utf-8"))
CASES = [(said, group["do"]) for group in CORPUS for said in group["say"]]


def spelled(act: Act) -> str:
    """Return an act as the corpus writes it."""
    if act.do == "set":
        text = f"set {act.concept} {'on' if act.state else 'off'}"
    elif act.do == "toggle":
        text = f"toggle {act.concept}"
    else:
        text = " ".join([act.do, act.tool, *(str(value) for _, value in act.arguments)]).strip()
    return " ".join([text, *(f"if {condition.fact.partition('/')[0]}" for condition in act.conditions)])


@pytest.mark.parametrize(("said", "expected"), CASES)
def test_corpus(said: str, expected: list[str]) -> None:
    heard = understand(said, Context("mms_issue"))
    assert [spelled(act) for act in heard.acts] == expected


def test_the_corpus_is_large_and_covers_every_tool() -> None:
    from telegym.tools.tau2_telecom import dual_toolkit

    wanted = " ".join(each for _, expected in CASES for each in expected)
    switches = {
        "toggle_airplane_mode": "airplane",
        "toggle_data": "data",
        "toggle_roaming": "roaming",
        "toggle_data_saver_mode": "saver",
        "toggle_wifi": "wifi ",
        "toggle_wifi_calling": "wifi_calling",
    }
    tools = [schema["function"]["name"] for schema in dual_toolkit().schemas("user")]
    assert len(tools) == 30
    assert len(CASES) >= 300
    assert [tool for tool in tools if f"set {switches.get(tool, '-')}" not in wanted and tool not in wanted] == []
