"""Every tool schema and every prompt that ships, frozen: a change shows in review, as it does to a trained model.

`pytest tests/test_golden.py --update-golden` writes the files anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Literal, get_args

import pytest
from jsonschema import Draft202012Validator

from telegym.core.episode import Episode
from telegym.envs.registry import make_environment
from telegym.envs.tau2_telecom.environment import Tau2Telecom
from telegym.rewards.grm.judge_input import JudgeInput
from tests.toy import Toy

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


def _judge_prompts(language: Literal["en", "zh"]) -> str:
    """Everything a judge may be asked, about a run of the toy environment and about an answer."""
    from telegym.rewards.base import Run
    from telegym.rewards.grm import judge_input
    from telegym.rewards.grm.judge_input import answer_input
    from telegym.rewards.grm.prompting import PromptName, Style, prompt_messages, reask_message

    environment = Toy()
    episode = Episode(environment, environment.tasks[1])
    while not episode.done:
        hint = environment.hint(episode)
        assert hint is not None
        episode.step(hint)
    rubrics = ("Was the counter brought to the value asked for?",)
    run, plain = judge_input(Run.of(episode), rubrics=rubrics), judge_input(Run.of(episode))
    answer = answer_input("Which band is n78?", "3.3 to 3.8 GHz", "3300 MHz to 3800 MHz")
    asked: list[tuple[PromptName, list[JudgeInput], Style, bool]] = [
        ("trajectory", [plain], "text", False),
        ("trajectory", [run], "json", True),
        *(("listwise", [plain, plain], style, False) for style in get_args(Style)),
        ("listwise", [answer, answer], "text", False),
        *((name, [answer], "text", False) for name in ("answer", "uncertain", "reference")),
    ]
    parts = []
    for name, inputs, style, principles in asked:
        shown = prompt_messages(name, inputs, language=language, style=style, principles=principles)
        parts += [f"# {name}, {style}, {message.role}\n\n{message.content}" for message in shown]
    parts.append(f"# again\n\n{reask_message(language, 'it has none', ('calls', 'score')).content}")
    return "\n\n".join(parts) + "\n"


def _questions(language: str) -> str:
    """The instructions of all sets of questions, and one problem of each kind."""
    from telegym.envs.questions.environment import Questions
    from telegym.envs.questions.problems import TEMPLATES
    from telegym.envs.questions.telemath import TeleMath
    from telegym.envs.questions.teleqna import TeleQnA

    sample = str(Path(__file__).with_name("envs") / "questions" / "two_questions.json")
    parts = []
    for tools in ("none", "calculator", "submit", "all"):
        sets: list[Questions] = [
            TeleQnA(data=sample, split="all", mode=mode, tools=tools, language=language)
            for mode in ("choice", "verify", "open")
        ]
        for environment in (*sets, TeleMath(tools=tools, language=language, count=1)):
            parts.append(
                f"# {environment.id} {environment.form} {tools}\n\n{environment.instructions(environment.tasks[0])}"
            )
    parts += [f"# {environment.form}\n\n{environment.tasks[0].ticket}" for environment in sets]
    problems = TeleMath(split="test", count=len(TEMPLATES), language=language).tasks
    parts += [f"# {task.labels['template']}\n\n{task.ticket}" for task in problems]
    return "\n\n".join(parts) + "\n"


def _question_tools(language: str) -> str:
    from telegym.envs.questions.desk import toolkit

    tools = [tool.schema() for tool in toolkit("choice", "calculator", language)]
    for form in ("choice", "verify", "open", "number"):
        tools += [tool.schema() for tool in toolkit(form, "submit", language)]
    return json.dumps(tools, indent=1, ensure_ascii=False) + "\n"


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
    "questions_en.md": lambda: _questions("en"),
    "questions_zh.md": lambda: _questions("zh"),
    "questions_tools_en.json": lambda: _question_tools("en"),
    "questions_tools_zh.json": lambda: _question_tools("zh"),
    "judge_prompts_en.md": lambda: _judge_prompts("en"),
    "judge_prompts_zh.md": lambda: _judge_prompts("zh"),
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
