"""Judges behind an endpoint and on this machine."""

from __future__ import annotations

import concurrent.futures as futures_module
import json
import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from telegym.agents.chat import ChatClient, ChatSettings
from telegym.agents.judging import ChatBackend, Endpoint, JudgedText, ModelJudge, make_backend
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message
from telegym.core.score import Failure
from telegym.rewards.base import Judgement
from telegym.rewards.grm import (
    Budget,
    GenerativeAnswerJudge,
    GenerativeJudge,
    JudgeReply,
    JudgeRequest,
    JudgeSettings,
    Panel,
)
from telegym.rewards.recipe import RewardRecipe
from telegym.rewards.registry import make_reward
from tests.agents.fake_server import Answer, FakeServer, Handler, error, serve, text, wait_for, whole
from tests.rewards.grm.scripted import played, verdict

GOOD = verdict(1, [(1, None), (1, None)])
ASKED = (Message(role="user", content="Is it right?"),)


def backend_of(server: FakeServer, *, structured: bool = False, **settings: Any) -> ChatBackend:
    client = ChatClient(ChatSettings.of("m", base_url=server.url, **settings), sleep=lambda seconds: None)
    return ChatBackend(client, revision="r1", structured=structured)


def spelt(*tokens: tuple[str, dict[str, float]]) -> dict[str, Any]:
    """Return the `logprobs` of an answer, from tokens with the probabilities of what might stand there."""
    return {
        "content": [
            {
                "token": token,
                "logprob": math.log(top[token]),
                "top_logprobs": [{"token": other, "logprob": math.log(chance)} for other, chance in top.items()],
            }
            for token, top in tokens
        ]
    }


def answers(*contents: str, logprobs: dict[str, Any] | None = None) -> Answer:
    """Answer with several choices."""
    choices = [
        {
            "index": n,
            "message": {"role": "assistant", "content": content},
            "finish_reason": "stop",
            "logprobs": logprobs,
        }
        for n, content in enumerate(contents)
    ]
    body = {"choices": choices, "usage": {"prompt_tokens": 50, "completion_tokens": 9}}
    return lambda handler: handler.reply(200, json.dumps(body))


def by_content(choose: Callable[[str], Answer]) -> Answer:
    """Answer each request by what it asks."""

    def write(handler: Handler) -> None:
        choose(handler.body["messages"][-1]["content"])(handler)

    return write


# --- an endpoint -----------------------------------------------------------------------------------


def test_what_a_request_wants_is_sent() -> None:
    schema = {"type": "object"}
    request = JudgeRequest(ASKED, seed=7, n=2, temperature=0.3, max_tokens=77, logprobs=5, json_schema=schema)
    with serve(answers("a", "b")) as server:
        (reply,) = backend_of(server).complete([request])
    assert isinstance(reply, JudgeReply)
    assert [choice.text for choice in reply.choices] == ["a", "b"]
    assert (reply.prompt_tokens, reply.completion_tokens, reply.retries) == (50, 9, 0)
    (body,) = server.requests
    assert body["n"] == 2 and body["seed"] == 7 and body["temperature"] == 0.3 and body["max_tokens"] == 77
    assert body["logprobs"] is True and body["top_logprobs"] == 5
    assert body["response_format"] == {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema}}
    assert "stream" not in body


def test_what_is_not_wanted_is_not_sent() -> None:
    with serve(answers("a")) as server:
        backend_of(server).complete([JudgeRequest(ASKED, seed=1)])
    assert not {"n", "logprobs", "top_logprobs", "response_format", "tools"} & set(server.requests[0])


def test_log_probabilities_become_a_score() -> None:
    logprobs = spelt(("\\boxed{", {"\\boxed{": 1.0}), ("1", {"1": 0.6, "0": 0.2}), ("}", {"}": 1.0}))
    with serve(answers("\\boxed{1}", logprobs=logprobs)) as server:
        judge = GenerativeJudge(Panel(backend_of(server), JudgeSettings(votes=1)))
        assert judge(played()).value == pytest.approx(0.75)
    assert server.requests[0]["temperature"] == 0.0


def test_garbage_in_the_log_probabilities_is_asked_about_again() -> None:
    with serve(answers("\\boxed{1}", logprobs={"content": [{"token": "x"}]}), answers("\\boxed{1}")) as server:
        (reply,) = backend_of(server).complete([JudgeRequest(ASKED, seed=1, logprobs=2)])
    assert isinstance(reply, JudgeReply) and reply.retries == 1


def test_half_a_batch_may_fail() -> None:
    runs = [played(number) for number in range(4)]
    poor = {run.task.ticket for run in runs[::2]}
    refuse = by_content(lambda said: error(500) if any(ticket in said for ticket in poor) else whole(GOOD))
    with serve(refuse) as server:
        judge = GenerativeJudge(Panel(backend_of(server, retries=1), JudgeSettings(votes=2, scoring="votes")))
        scores = judge.score(runs)
    assert [score.value is None for score in scores] == [True, False, True, False]
    assert all(score.failure is not None and score.failure.party == "infrastructure" for score in scores[::2])
    assert "HTTP 500" in str(scores[0].failure)


@pytest.mark.parametrize(
    ("answer", "party"),
    [
        (error(503), "infrastructure"),
        (error(401), "infrastructure"),
        (text("<html>busy</html>"), "infrastructure"),
        (error(400, '{"error": "maximum context length is 10"}'), "judge"),
        (whole("Hm."), "judge"),
        (whole(None), "judge"),
    ],
)
def test_failures_have_a_party_and_no_value(answer: Answer, party: str) -> None:
    with serve(answer) as server:
        found = GenerativeJudge(Panel(backend_of(server, retries=0), JudgeSettings(votes=1)))(played())
    assert found.value is None
    assert found.failure is not None and found.failure.party == party


def test_nobody_there_is_a_failure() -> None:
    with serve(whole(GOOD)) as server:
        backend = backend_of(server, retries=0)
    found = GenerativeJudge(Panel(backend))(played())
    assert found.failure is not None and found.failure.party == "infrastructure"


def test_what_was_answered_before_the_deadline_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline is when the first answer is there."""
    released = threading.Event()
    runs = [played(0), played(1)]
    slow = by_content(lambda said: wait_for(released, whole(GOOD)) if runs[1].task.ticket in said else whole(GOOD))
    monkeypatch.setattr(
        "telegym.agents.chat.wait",
        lambda futures, seconds: futures_module.wait(futures, return_when=futures_module.FIRST_COMPLETED),
    )
    with serve(slow) as server:
        settings = JudgeSettings(votes=1, scoring="votes")
        panel = Panel(backend_of(server, retries=0), settings, budget=Budget(seconds=500.0))
        first, second = GenerativeJudge(panel).score(runs)
        released.set()
    assert first.value == 0.75
    assert second.failure is not None and "no answer within" in second.failure.message


def test_nothing_is_asked_for_longer_than_the_time_that_is_left() -> None:
    released = threading.Event()
    with serve(wait_for(released, whole(GOOD))) as server:
        (found,) = backend_of(server).complete([JudgeRequest(ASKED, seed=1)], seconds=0.05)
        for thread in threading.enumerate():
            if thread.name.startswith("telegym-chat"):
                thread.join(15)
                assert not thread.is_alive()
        released.set()
    assert isinstance(found, Failure) and found.party == "infrastructure"


# --- settings -----------------------------------------------------------------------------------


def test_a_recipe_makes_a_judge(tmp_path: Path) -> None:
    with serve(whole(GOOD)) as server:
        recipe = RewardRecipe.parse(
            {
                "rewards": {
                    "outcome": {"kind": "outcome"},
                    "judge": {
                        "kind": "judge",
                        "model": "openai:m",
                        "votes": 2,
                        "endpoint": {"base_url": server.url, "retries": 0},
                        "asking": {"language": "zh"},
                        "cache": str(tmp_path / "answers"),
                        "budget": {"seconds": 60},
                    },
                },
                "combine": {"kind": "gate_product", "outcome": "outcome", "quality": {"judge": 1.0}},
            },
            "a test",
        )
        score = recipe.build()(played())
        asked = len(server.requests)
        assert recipe.build()(played()) == score
    assert asked == len(server.requests) == 2
    assert "智能体" in server.requests[0]["messages"][0]["content"]
    assert score.components["judge"] == pytest.approx(2.5 / 3)
    assert score.value == pytest.approx(0.7 + 0.3 * 2.5 / 3)


def test_answers_on_disk_are_replayed_without_an_endpoint(tmp_path: Path) -> None:
    cache = str(tmp_path / "answers")
    with serve(whole(GOOD)) as server:
        first = make_reward("judge", model="openai:m", endpoint={"base_url": server.url}, cache=cache)(played())
    again = make_reward("judge", model="openai:m", endpoint={"base_url": server.url}, cache=cache, replay=True)
    assert again(played()) == first
    missing = again(played(1))
    assert missing.failure is not None and "replay asks nobody" in missing.failure.message


def test_groups_are_judged_together() -> None:
    with serve(answers('{"score": [1, 1]} \\boxed{1, 1}')) as server:
        judge = make_reward("judge", model="openai:m", mode="listwise", endpoint={"base_url": server.url})
        scores = judge.score([played(0), played(0)])
    assert judge.groupwise and judge.waits and judge.persuadable
    assert [score.value for score in scores] == [pytest.approx(2.5 / 3)] * 2
    assert isinstance(scores[0], Judgement) and scores[0].counters["flip_rate"] == 0


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"model": "gpt"}, "valid: openai:NAME, local:PATH"),
        ({"model": "opena:x"}, "Did you mean 'openai'"),
        ({"model": "openai:"}, "valid: openai:NAME, local:PATH"),
        ({"model": "openai:x", "replay": True}, "needs a `cache`"),
        ({"model": "openai:x", "vote": 4}, "votes"),
        ({"model": "openai:x", "votes": 0}, "votes"),
        ({"model": "openai:x", "asking": {"lang": "zh"}}, "lang"),
        ({"model": "openai:x", "asking": {"style": "scores"}}, "needs mode 'listwise'"),
        ({"model": "openai:x", "calibration": "/no/such/file"}, "not a calibration"),
        ({"model": "openai:x", "fallback": "mean"}, "fallback"),
        ({"model": "local:/no/such/folder"}, "no model '/no/such/folder'"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        make_reward("judge", **settings)


def test_answers_in_words_are_judged_by_a_recipe() -> None:
    with serve(answers('{"sure": 1, "score": 1} \\boxed{1}')) as server:
        reward = make_reward("judged-text", model="openai:m", endpoint={"base_url": server.url}, threshold=0.5)
    assert isinstance(reward, JudgedText) and reward.waits and reward.persuadable
    assert isinstance(reward.judge, GenerativeAnswerJudge)


def test_the_name_of_a_model_is_that_of_the_endpoint() -> None:
    backend = make_backend("openai:Qwen/Qwen3-8B", Endpoint(base_url="http://127.0.0.1:1/v1", revision="abc"))
    assert (backend.model, backend.revision, backend.structured) == ("Qwen/Qwen3-8B", "abc", False)
    assert ModelJudge(model="openai:x").pointwise.panel.settings.votes == 4


# --- this machine -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A model that has learnt nothing."""
    model = pytest.importorskip("tests.vllm.model", reason="the model is made with the extra train")
    path = tmp_path_factory.mktemp("judge") / "model"
    model.write_model(path, ["Is it right? It is so.", *(f"{number} \\boxed{{0}}" for number in range(50))], 256)
    yield str(path)


def test_a_local_judge_answers_with_tokens_that_spell_its_answer(folder: str) -> None:
    backend = make_backend(f"local:{folder}")
    request = JudgeRequest(ASKED, seed=3, n=3, temperature=1.0, max_tokens=12, logprobs=4)
    (reply,) = backend.complete([request])
    assert isinstance(reply, JudgeReply)
    assert len({choice.text for choice in reply.choices}) == 3
    assert reply.completion_tokens == sum(len(choice.tokens) for choice in reply.choices)
    for choice in reply.choices:
        assert choice.finish in ("stop", "length")
        for token in choice.tokens:
            chances = [logprob for _, logprob in token.top]
            assert len(chances) == 4 and chances == sorted(chances, reverse=True)
            assert sum(map(math.exp, chances)) <= 1 + 1e-6
            assert token.logprob <= chances[0] + 1e-6
            same = [logprob for text, logprob in token.top if text == token.text != "\ufffd"]
            assert same == [] or same == [pytest.approx(token.logprob, abs=1e-5)]
    assert backend.complete([request]) == [reply]


def test_the_company_of_a_request_has_no_influence(folder: str) -> None:
    backend = make_backend(f"local:{folder}")
    requests = [JudgeRequest(ASKED, seed=seed, temperature=seed % 2, max_tokens=8) for seed in range(5)]
    together = backend.complete(requests)
    alone = [backend.complete([request])[0] for request in requests]
    assert together == alone


def test_what_a_local_judge_cannot_do_is_a_failure(folder: str) -> None:
    backend = make_backend(f"local:{folder}")
    long = JudgeRequest((Message(role="user", content="right " * 400),), seed=1, max_tokens=8)
    short = JudgeRequest(ASKED, seed=1, max_tokens=8)
    first, second = backend.complete([long, short])
    assert isinstance(first, Failure) and first.party == "judge" and "too long" in first.message
    assert isinstance(second, JudgeReply)
    (late,) = backend.complete([short], seconds=0.0)
    assert isinstance(late, Failure) and late.party == "infrastructure"


@pytest.mark.slow
def test_a_judge_that_was_taught_on_this_machine_judges(tmp_path: Path) -> None:
    teaching = pytest.importorskip("tests.agents.judge_model", reason="the model is made with the extra train")
    teaching.write_judge(tmp_path / "judge")
    panel = Panel(make_backend(f"local:{tmp_path / 'judge'}"), JudgeSettings(votes=1, max_tokens=40))
    judge = GenerativeAnswerJudge(panel, ask_whether_sure=False)
    cells = range(500, 510)
    right = judge.judge([teaching.query(cell, True) for cell in cells])
    wrong = judge.judge([teaching.query(cell, False) for cell in cells])
    assert min(found.value or 0.0 for found in right) > max(found.value or 1.0 for found in wrong)
    assert all(found.counters["without_logprobs"] == 0 for found in (*right, *wrong))
