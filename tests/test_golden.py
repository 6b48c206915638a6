"""Every tool schema and every prompt that ships, frozen: a change shows in review, as it does to a trained model.

`pytest tests/test_golden.py --update-golden` writes the files anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from telegym.core.episode import Episode
from telegym.envs.registry import make_environment
from telegym.envs.tau2_telecom.environment import Tau2Telecom

GOLDEN = Path(__file__).with_name("golden")


def _tools(mode: str) -> str:
    environment = make_environment("tau2-telecom", mode=mode)
    toolkit = environment.toolkit(environment.tasks[0])
    tools = [
        {"requestor": tool.requestor, "kind": tool.kind, "minutes": tool.minutes, "risk": tool.risk, **tool.schema()}
        for tool in toolkit
    ]
    return json.dumps(tools, indent=2) + "\n"


def _prompt(mode: str, policy: str) -> str:
    environment = make_environment("tau2-telecom", mode=mode, policy=policy)
    return environment.instructions(environment.tasks[0]) + "\n"


def _schemas(language: str) -> str:
    from telegym.tools.base_station import toolkit

    tools = [tool.schema() for tool in toolkit("full", language)]
    return json.dumps(tools, indent=1, ensure_ascii=False) + "\n"


def _opening() -> str:
    tasks = Tau2Telecom(split="test", count=30).tasks
    return "\n\n".join(f"# {task.id}\n\n{task.ticket}" for task in tasks) + "\n"


def _model_user() -> str:
    from telegym.agents.users.model import system_prompt

    environment = Tau2Telecom(mode="dual", split="test", count=6)
    prompts = {task.id: system_prompt(environment.scenario(task)) for task in environment.tasks}
    return "\n\n".join(f"# {name}\n\n{prompt}" for name, prompt in prompts.items()) + "\n"


def _nano_prompts() -> str:
    """The opening of episodes as the shipped policy's template renders it, tools full, compact and none."""
    transformers = pytest.importorskip("transformers")
    from telegym.agents.prompting import ChatCodec, PromptProfile

    tokenizer = transformers.AutoTokenizer.from_pretrained(resources.files("telegym.agents.training").joinpath("nano"))
    environment = Tau2Telecom(split="test", count=1)
    parts = []
    for tools in ("none", "compact", "full"):
        codec = ChatCodec(tokenizer, PromptProfile(tools=tools, policy="none"))
        text = tokenizer.decode(codec.prompt(Episode(environment, environment.tasks[0])))
        parts.append(f"# tools: {tools}\n\n{text}")
    return "\n\n".join(parts) + "\n"


def _base_station(language: str) -> str:
    from telegym.envs.base_station.environment import BaseStation

    environment = BaseStation(split="test", count=12, language=language)
    tickets = "\n\n".join(task.ticket for task in environment.tasks)
    return f"{environment.instructions(environment.tasks[0])}\n\n{tickets}\n"


FILES: dict[str, Callable[[], str]] = {
    "tau2_telecom_solo_tools.json": lambda: _tools("solo"),
    "tau2_telecom_dual_tools.json": lambda: _tools("dual"),
    "tau2_telecom_solo_manual.md": lambda: _prompt("solo", "manual"),
    "tau2_telecom_solo_workflow.md": lambda: _prompt("solo", "workflow"),
    "tau2_telecom_dual_manual.md": lambda: _prompt("dual", "manual"),
    "tau2_telecom_dual_workflow.md": lambda: _prompt("dual", "workflow"),
    "tau2_telecom_tickets.md": _opening,
    "tau2_telecom_model_user.md": _model_user,
    "nano_prompts.md": _nano_prompts,
    "base_station_en.md": lambda: _base_station("en"),
    "base_station_zh.md": lambda: _base_station("zh"),
    "base_station_tools_en.json": lambda: _schemas("en"),
    "base_station_tools_zh.json": lambda: _schemas("zh"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_ships_is_as_frozen(name: str, request: pytest.FixtureRequest) -> None:
    text = FILES[name]()
    path = GOLDEN / name
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"{path} is missing; write it with --update-golden"
    assert text == path.read_text(encoding="utf-8"), f"{name} has changed; if that is meant, use --update-golden"


def test_every_golden_file_is_tested() -> None:
    assert sorted(FILES) == sorted(path.name for path in GOLDEN.iterdir())


@pytest.mark.parametrize("mode", ["solo", "dual"])
def test_every_schema_is_valid_and_described(mode: str) -> None:
    for tool in json.loads(_tools(mode)):
        parameters = tool["function"]["parameters"]
        Draft202012Validator.check_schema(parameters)
        assert tool["function"]["description"].strip()
        for name, schema in parameters["properties"].items():
            assert schema.get("description", "").strip(), f"{tool['function']['name']}: {name}"
