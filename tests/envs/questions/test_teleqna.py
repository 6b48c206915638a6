"""TeleQnA as an environment."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from telegym.agents.oracle import OracleAgent
from telegym.agents.rollout import rollout
from telegym.core.episode import EndReason, Episode
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message, ToolCall
from telegym.core.replay import replay
from telegym.envs.questions.teleqna import TeleQnA
from telegym.envs.registry import make_environment
from telegym.rewards.answer import ChoiceReward
from telegym.rewards.answer.choice import read_choice
from telegym.rewards.answer.normalisation import comparable
from telegym.rewards.base import Run

from .sample import write


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(tmp_path_factory.mktemp("data"))


def _played(environment: TeleQnA, task_id: str, action: str | Message) -> Episode:
    episode = Episode(environment, environment.tasks.by_id(task_id))
    episode.step(action)
    return episode


def _submit(answer: Any) -> Message:
    return Message(role="assistant", tool_calls=(ToolCall(id="a", name="submit_answer", arguments={"answer": answer}),))


def test_options_change_places_only_where_they_may(data: str) -> None:
    plain = TeleQnA(data=data, split="all", shuffle=False).tasks
    shuffled = TeleQnA(data=data, split="all", seed=1).tasks
    assert plain.ids == shuffled.ids
    assert plain.by_id("teleqna-2").ticket == shuffled.by_id("teleqna-2").ticket
    assert plain.by_id("teleqna-3").ticket == shuffled.by_id("teleqna-3").ticket
    moved = [one.id for one, other in zip(plain, shuffled, strict=True) if one.ticket != other.ticket]
    assert len(moved) >= 5
    for one, other in zip(plain, shuffled, strict=True):
        assert sorted(one.data["options"]) == sorted(other.data["options"])
        assert one.data["options"][one.data["answer"] - 1] == other.data["options"][other.data["answer"] - 1]


def test_the_question_is_asked_without_its_explanation(data: str) -> None:
    environment = TeleQnA(data=data, split="all", shuffle=False)
    episode = Episode(environment, environment.tasks.by_id("teleqna-1"))
    assert episode.messages[0].content == (
        "What does a bell do? [3GPP Release 17]\n\noption 1: It shines\noption 2: It rings\noption 3: It sings"
    )
    seen = (
        environment.instructions(episode.task)
        + str(episode.agent_messages())
        + str(environment.toolkit(episode.task).schemas())
    )
    assert "Because" not in seen


@pytest.mark.parametrize(
    ("answer", "value"),
    [("option 2", 1), (2, 1), ("B", 1), ("It rings", 1), ("option 1", 0), ("option 9", 0), ("1 or 2", 0)],
)
def test_choosing_an_option(data: str, answer: Any, value: float) -> None:
    episode = _played(TeleQnA(data=data, split="all", shuffle=False), "teleqna-1", _submit(answer))
    assert episode.end is EndReason.FINISHED
    assert episode.score().value == value
    assert ChoiceReward()(Run.of(episode)).value == value


def test_words_do_not_count_where_an_answer_is_submitted(data: str) -> None:
    episode = _played(TeleQnA(data=data, split="all", shuffle=False), "teleqna-1", "The answer is option 2.")
    assert episode.end is EndReason.AGENT_ERROR
    assert episode.score().value == 0.0


@pytest.mark.parametrize("tools", ["none", "calculator"])
def test_words_are_the_answer_where_nothing_is_submitted(data: str, tools: Any) -> None:
    environment = TeleQnA(data=data, split="all", shuffle=False, tools=tools)
    episode = _played(environment, "teleqna-1", "Bells ring. <answer>option 2</answer>")
    assert episode.end is EndReason.USER_STOP
    assert episode.score().success
    assert not _played(environment, "teleqna-1", "<answer>option 1</answer>").score().success


def test_an_empty_answer_can_be_given_again(data: str) -> None:
    environment = TeleQnA(data=data, split="all", shuffle=False)
    episode = _played(environment, "teleqna-1", _submit(" "))
    assert not episode.done
    episode.step(_submit("option 2"))
    assert episode.score().success


def test_proposed_answers_are_judged(data: str) -> None:
    environment = TeleQnA(data=data, split="all", mode="verify")
    tasks = environment.tasks
    assert "All of the above" not in str([task.ticket for task in tasks])
    verdicts = [task.data["answer"] for task in tasks]
    assert verdicts.count("yes") == verdicts.count("no")
    right = next(task for task in tasks if task.id == "teleqna-1-2")
    assert right.ticket.endswith("Proposed answer: It rings")
    assert _played(environment, right.id, _submit("yes")).score().success
    wrong = _played(environment, right.id, _submit("no")).score()
    assert (wrong.value, wrong.reasons) == (0.0, ("the proposed answer is right",))
    every = TeleQnA(data=data, split="all", mode="verify", claims="all").tasks
    assert [task.id for task in every if task.id.startswith("teleqna-1-")] == [
        "teleqna-1-1",
        "teleqna-1-2",
        "teleqna-1-3",
    ]


def test_copies_of_a_wrong_option_do_not_become_right(data: str) -> None:
    tasks = TeleQnA(data=data, split="all", mode="verify", claims="all").tasks
    assert [task.data["answer"] for task in tasks if task.id.startswith("teleqna-7-")] == ["yes", "no", "no", "no"]


def test_open_questions_need_no_options(data: str) -> None:
    environment = TeleQnA(data=data, split="all", mode="open")
    assert not {"teleqna-2", "teleqna-3", "teleqna-4"} & set(environment.tasks.ids)
    assert _played(environment, "teleqna-6", _submit("2")).score().success
    assert not _played(environment, "teleqna-6", _submit("two")).score().success


@pytest.mark.parametrize("mode", ["choice", "verify", "open"])
@pytest.mark.parametrize("tools", ["none", "calculator", "submit", "all"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_oracle_answers_everything(data: str, mode: Any, tools: Any, language: str) -> None:
    environment = TeleQnA(data=data, split="all", mode=mode, tools=tools, language=language)
    for episode in rollout(environment, environment.tasks, OracleAgent()):
        assert episode.score().success, episode.task.id


def test_splits_share_no_question_and_cover_all(data: str) -> None:
    everything = set(TeleQnA(data=data, split="all").tasks.ids)
    parts = [set(TeleQnA(data=data, split=split).tasks.ids) for split in ("train", "rl", "test")]
    assert set.union(*parts) == everything
    assert sum(len(part) for part in parts) == len(everything)


def test_a_category_can_be_chosen(data: str) -> None:
    tasks = TeleQnA(data=data, split="all", category="Colours").tasks
    assert {task.labels["family"] for task in tasks} == {"Colours"}
    with pytest.raises(ConfigurationError, match="Did you mean 'Colours'"):
        TeleQnA(data=data, category="Colour")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs data"),
        ({"mode": "chioce"}, "Did you mean 'choice'"),
        ({"split": "dev"}, "valid: train, rl, test, all"),
        ({"tools": "hammer"}, "no tools 'hammer'"),
        ({"language": "fr"}, "no language 'fr'"),
        ({"claims": "some"}, "no claims 'some'"),
    ],
)
def test_options_are_checked(data: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        TeleQnA(**({**options, "data": data} if options else {}))


def test_an_equal_environment_is_made_of_the_options(data: str) -> None:
    first = TeleQnA(data=data, split="all", seed=4, mode="verify", tools="all")
    again = make_environment("teleqna", **first.options)
    assert [task.model_dump() for task in again.tasks] == [task.model_dump() for task in first.tasks]


@pytest.mark.parametrize("tools", ["none", "all"])
def test_recordings_are_replayed(data: str, tools: Any) -> None:
    environment = TeleQnA(data=data, split="all", tools=tools)
    trajectory = rollout(environment, environment.tasks[:1], OracleAgent())[0].trajectory("oracle")
    assert replay(trajectory, make_environment(trajectory.environment, **trajectory.options)) == []


def test_gymnasium_plays_it(data: str) -> None:
    env = gymnasium.make("telegym/TeleQnA-v0", data=data, split="all", shuffle=False, tools="none")
    observation, _ = env.reset(seed=0, options={"task_id": "teleqna-1"})
    assert "option 2: It rings" in observation
    _, reward, terminated, truncated, info = env.step("<answer>B</answer>")
    assert (reward, terminated, truncated, info["score"]["components"]) == (
        1.0,
        True,
        False,
        {"answer": 1.0, "answered": 1.0},
    )


WRITTEN = (
    "option {number}",
    "option {number}: {text}",
    "{letter}) {text}",
    "**Answer:** option {number}",
    "The correct option is **{number}. {text}**.",
    "We considered option 1 and option 2.\nThe correct answer is option {number}: {text}",
    "\\boxed{{option {number}}}",
)


def test_published_options_are_read_however_they_are_named(teleqna_data: Path) -> None:
    for task in TeleQnA(data=str(teleqna_data)).tasks[::30]:
        options = task.data["options"]
        for (number, text), written in itertools.product(enumerate(options, start=1), WRITTEN):
            said = written.format(number=number, text=text, letter="ABCDEF"[number - 1])
            place = read_choice(said, options, marked=False).place
            assert place is not None, said
            assert comparable(options[place]) == comparable(text)


def test_the_published_questions_are_answered_by_the_oracle(teleqna_data: Path) -> None:
    environment = TeleQnA(data=str(teleqna_data), split="test", seed=2)
    tasks = environment.tasks[:300]
    assert all(episode.score().success for episode in rollout(environment, tasks, OracleAgent()))
    first = [task.data["answer"] for task in environment.tasks if len(task.data["options"]) == 5]
    assert all(first.count(number) / len(first) == pytest.approx(0.2, abs=0.06) for number in range(1, 6))
