"""The pointwise judge: votes, probabilities, what is said of calls, failures, cache, budget."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Sequence

import pytest

from telegym.core.episode import EndReason, Episode
from telegym.core.errors import ConfigurationError, InfrastructureError, JudgeError
from telegym.core.score import Failure, Score
from telegym.rewards.answer.text import TextReward
from telegym.rewards.base import Judgement, Reward, Run
from telegym.rewards.grm import (
    Budget,
    Choice,
    GenerativeJudge,
    Health,
    JudgeReply,
    JudgeRequest,
    JudgeSettings,
    Panel,
    Prices,
    Token,
)
from telegym.rewards.grm.fallback import Fallback
from telegym.rewards.grm.votes import positive_probability, vote_share
from telegym.rewards.verdict import Code
from tests.rewards.grm.scripted import READ, Memory, Script, ScriptedBackend, always, played, prompt_of, verdict
from tests.toy import Toy

GOOD = verdict(1, [(1, None), (1, None)], analysis="Call 1 brings the counter there.")
BAD = verdict(0, [(0, "wrong_cause"), (1, None)], analysis="Call 1 is wrong.")
NOISE = "I would rather not say."
OUTAGE = Failure(party="infrastructure", message="HTTP 503")


def judge_of(script: Script, **settings: object) -> tuple[GenerativeJudge, ScriptedBackend]:
    backend = ScriptedBackend(script)
    return GenerativeJudge(Panel(backend, JudgeSettings.model_validate(settings))), backend


def judged(judge: Reward, run: Run) -> Judgement:
    found = judge(run)
    assert isinstance(found, Judgement)
    return found


# --- scores -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("positive", "value"), [(0, 0.1), (1, 0.3), (2, 0.5), (3, 0.7), (4, 0.9)])
def test_votes_become_a_probability(positive: int, value: float) -> None:
    judge, backend = judge_of(always(*[GOOD] * positive, *[BAD] * (4 - positive)))
    found = judged(judge, played())
    assert found.value == pytest.approx(value)
    assert found.counters["votes"] == 4
    assert found.counters["positive_votes"] == positive
    assert len({request.seed for request in backend.requests}) == 4
    assert {request.temperature for request in backend.requests} == {0.7}


def test_each_call_has_a_verdict_with_a_code() -> None:
    run = played()
    judge, _ = judge_of(always(BAD, BAD, BAD, GOOD))
    found = judged(judge, run)
    first, second = found.verdicts
    assert (first.index, first.reasonable, first.code) == (0, False, Code.WRONG_CAUSE)
    assert first.evidence == "3 of 4 votes"
    assert (second.reasonable, second.code) == (True, None)
    assert found.calls == (0.25, 1.0)
    assert found.components["calls"] == 0.5
    assert found.analysis == "Call 1 is wrong."
    assert found.reasons[0] == "call 0 (change_counter): wrong_cause, 3 of 4 votes"


def test_a_tie_on_a_call_says_nothing() -> None:
    judge, _ = judge_of(always(BAD, BAD, GOOD, GOOD))
    first, _ = judged(judge, played()).verdicts
    assert first.reasonable is None and first.code is None


def test_votes_that_leave_calls_out_keep_their_verdict_and_lose_their_marks() -> None:
    judge, _ = judge_of(always(verdict(1, [(1, None)])))
    found = judged(judge, played())
    assert found.value == 0.9
    assert found.verdicts == () and found.calls == ()


def logprob_choice(text: str, one: float, *, split: bool = False) -> Choice:
    """Return a reply whose last digit is 1 with this probability."""
    at = max(text.rfind("0"), text.rfind("1"))
    digit = text[at]
    own, other = (one, 1 - one) if digit == "1" else (1 - one, one)
    flipped = "0" if digit == "1" else "1"
    top = ((digit, math.log(own)), (flipped, math.log(other)))
    tokens = (Token(text[:at], -0.1), Token(digit, math.log(own), top), Token(text[at + 1 :], 0.0))
    return Choice(text, "stop", (*tokens, Token("<|im_end|>", 0.0)) if split else tokens)


@pytest.mark.parametrize("one", [0.03, 0.5, 0.8])
@pytest.mark.parametrize("reply", [GOOD, BAD])
@pytest.mark.parametrize("split", [True, False])
def test_a_single_vote_is_scored_by_its_log_probabilities(one: float, reply: str, split: bool) -> None:
    judge, backend = judge_of(always(logprob_choice(reply, one, split=split)), votes=1)
    assert judged(judge, played()).value == pytest.approx(one)
    assert backend.requests[0].temperature == 0.0
    assert backend.requests[0].logprobs == 10


def test_log_probabilities_of_several_votes_are_averaged() -> None:
    script = always(logprob_choice(GOOD, 0.9), logprob_choice(BAD, 0.2))
    judge, _ = judge_of(script, votes=2, scoring="logprobs")
    assert judged(judge, played()).value == pytest.approx(0.55)


def test_without_log_probabilities_votes_are_counted_and_that_is_said() -> None:
    judge, _ = judge_of(always(GOOD), votes=1)
    found = judged(judge, played())
    assert found.value == vote_share(1, 1) == 0.75
    assert found.counters["without_logprobs"] == 1


def test_a_digit_that_is_not_among_the_likeliest_has_at_most_what_is_left() -> None:
    tokens = (Token("\\boxed{", 0.0), Token("1", math.log(0.9), (("1", math.log(0.9)), ("x", math.log(0.06)))))
    found = positive_probability(Choice("\\boxed{1}", tokens=(*tokens, Token("}", 0.0))), 7)
    assert found == pytest.approx(0.9 / 0.94)


def test_a_token_may_hold_more_than_the_digit() -> None:
    top = (("{1}", math.log(0.6)), ("{0}", math.log(0.3)), (" {0}", math.log(0.1)))
    choice = Choice("\\boxed{1}", tokens=(Token("\\boxed", 0.0), Token("{1}", math.log(0.6), top)))
    assert positive_probability(choice, 7) == pytest.approx(0.6)


def test_tokens_that_do_not_spell_the_text_tell_nothing() -> None:
    assert positive_probability(Choice("\\boxed{1}", tokens=(Token("else", 0.0),)), 7) is None
    assert positive_probability(Choice("\\boxed{1}"), 7) is None
    # A character that is several tokens is spelt by none of them; what follows it is.
    top = (("1", math.log(0.7)), ("0", math.log(0.3)))
    broken = (Token("\ufffd", 0.0), Token("\ufffd", 0.0), Token("\\boxed{", 0.0), Token("1", math.log(0.7), top))
    assert positive_probability(Choice("好\\boxed{1}", tokens=(*broken, Token("}", 0.0))), 8) == pytest.approx(0.7)


def test_votes_may_share_a_request() -> None:
    judge, backend = judge_of(always(GOOD), together=True, votes=4)
    found = judged(judge, played())
    assert found.value == 0.9
    assert [request.n for request in backend.requests] == [4]
    assert found.counters["prompt_tokens"] == 100
    assert found.counters["completion_tokens"] == 40


def test_prices_and_usage_are_counted() -> None:
    judge, _ = judge_of(always(GOOD), prices=Prices(prompt=2.0, completion=10.0))
    found = judged(judge, played())
    assert found.counters["requests"] == 4
    assert found.counters["cost"] == pytest.approx((400 * 2 + 40 * 10) / 1e6)


# --- failures -----------------------------------------------------------------------------------


def test_an_unreadable_reply_is_asked_about_once_more_for_json_alone() -> None:
    judge, backend = judge_of(always(NOISE, '{"calls": [{"i": 1, "v": 1}, {"i": 2, "v": 1}], "score": 1}'), votes=1)
    found = judged(judge, played())
    assert found.value == 0.75
    assert found.counters["asked_again"] == 1
    _, second = backend.requests
    assert [message.role for message in second.messages] == ["system", "user", "assistant", "user"]
    assert second.messages[2].content == NOISE
    assert "neither a boxed 0 or 1" in (second.messages[3].content or "")
    assert len(found.verdicts) == 2


def test_garbage_twice_is_a_failure_of_the_judge_and_no_zero() -> None:
    judge, backend = judge_of(always(NOISE))
    found = judged(judge, played())
    assert found.value is None
    assert found.failure is not None and found.failure.party == "judge"
    assert "0 of 4 votes can be used, and 2 are needed" in found.failure.message
    assert len(backend.requests) == 8
    assert found.counters["unreadable"] == 4


def test_contradictions_are_counted() -> None:
    judge, _ = judge_of(always('{"score": 0} \\boxed{1}'))
    found = judged(judge, played())
    assert found.value is None
    assert found.counters["conflicts"] == 4


def test_an_outage_is_a_failure_of_the_infrastructure() -> None:
    judge, backend = judge_of(always(OUTAGE))
    found = judged(judge, played())
    assert found.failure is not None and found.failure.party == "infrastructure"
    assert "HTTP 503" in found.failure.message
    assert len(backend.requests) == 4
    assert judge.tally.failures == 4


@pytest.mark.parametrize(("lost", "value"), [(1, 3.5 / 4), (2, 2.5 / 3), (3, None)])
def test_half_of_the_votes_suffice(lost: int, value: float | None) -> None:
    judge, _ = judge_of(always(*[OUTAGE] * lost, GOOD))
    found = judged(judge, played())
    assert found.value == (pytest.approx(value) if value is not None else None)


def test_half_a_batch_may_fail_and_the_other_half_counts() -> None:
    runs = [played(number) for number in range(6)]
    poor = {run.task.ticket for run in runs[::2]}
    judge, _ = judge_of(lambda request: OUTAGE if any(ticket in prompt_of(request) for ticket in poor) else GOOD)
    scores = judge.score(runs)
    assert [score.value is None for score in scores] == [True, False] * 3
    assert all((score.value is None) == (score.failure is not None) for score in scores)
    assert judge.health.rate == 0.5


class Broken(ScriptedBackend):
    """Fails as a whole."""

    def __init__(self, error: Exception) -> None:
        super().__init__(always(GOOD))
        self.error = error

    def complete(self, requests: Sequence[JudgeRequest], *, seconds: float | None = None) -> list[JudgeReply | Failure]:
        raise self.error


@pytest.mark.parametrize(
    ("error", "party"), [(JudgeError("off"), "judge"), (InfrastructureError("off"), "infrastructure")]
)
def test_a_backend_that_raises_is_a_failure_of_every_request(error: Exception, party: str) -> None:
    found = GenerativeJudge(Panel(Broken(error)))(played())
    assert found.failure is not None and found.failure.party == party


def test_a_mistake_of_the_person_who_configured_the_run_is_raised() -> None:
    with pytest.raises(ConfigurationError):
        GenerativeJudge(Panel(Broken(ConfigurationError("no such address"))))(played())


def test_a_backend_that_leaves_requests_out_fails_them() -> None:
    class Short(ScriptedBackend):
        def complete(
            self, requests: Sequence[JudgeRequest], *, seconds: float | None = None
        ) -> list[JudgeReply | Failure]:
            return super().complete(requests, seconds=seconds)[:1]

    found = judged(GenerativeJudge(Panel(Short(always(GOOD)))), played())
    assert found.value is None
    assert found.counters["unanswered"] == 3


def test_a_run_that_was_broken_from_outside_is_not_judged() -> None:
    environment = Toy()
    episode = Episode(environment, environment.tasks[0])
    episode.truncate(EndReason.INFRASTRUCTURE, Failure(party="infrastructure", message="the server died"))
    judge, backend = judge_of(always(GOOD))
    found = judge(Run.of(episode))
    assert found.failure is not None and found.failure.message == "the server died"
    assert backend.requests == []


def test_a_recording_of_an_unknown_environment_is_a_failure_that_names_it() -> None:
    trajectory = played().trajectory.model_copy(update={"environment": "toi"})
    judge, _ = judge_of(always(GOOD))
    found = judge(Run(trajectory=trajectory))
    assert found.failure is not None and "no environment 'toi'" in found.failure.message


class Half(Reward):
    """Says one half, of the first task only."""

    name = "half"

    def score(self, runs: Sequence[Run]) -> list[Score]:
        return [Score(value=0.5) if run.task.id == "toy-0" else Score(failure=OUTAGE) for run in runs]


def with_fallback(script: Script, *chain: Fallback) -> GenerativeJudge:
    return GenerativeJudge(Panel(ScriptedBackend(script), JudgeSettings(votes=1, scoring="votes")), fallback=chain)


def test_a_fallback_is_said_to_be_one() -> None:
    found = judged(with_fallback(always(OUTAGE), Half()), played())
    assert found.value == 0.5
    assert found.counters["fallback"] == 1
    assert found.reasons[0].startswith("the value is reward 'half': the judge failed, 0 of 1 votes can be used")


def test_the_chain_of_fallbacks_is_followed_to_its_end() -> None:
    runs = [played(0, group="a"), played(1, group="b"), played(2, group="b"), played(3, group="c")]
    script: Script = lambda request: GOOD if runs[2].task.ticket in prompt_of(request) else OUTAGE  # noqa: E731
    scores = with_fallback(script, Half(), "group_mean").score(runs)
    assert [score.value for score in scores] == [0.5, 0.75, 0.75, None]
    assert "the mean of its group" in scores[1].reasons[0]
    assert scores[3].failure is not None


def test_too_many_failures_raise_an_alarm_and_the_run_goes_on() -> None:
    heard: list[str] = []
    down = [True]
    backend = ScriptedBackend(lambda request: OUTAGE if down[0] else GOOD)
    health = Health(0.1, 20, heard.append)
    judge = GenerativeJudge(Panel(backend, JudgeSettings(votes=1, scoring="votes")), health=health)
    for batch in range(60):
        down[0] = batch % 5 == 0
        assert (judge(played()).value is None) == down[0]
        assert health.alarmed == (batch >= 19)
    assert heard == ["the judge gave no verdict on 20% of the runs of the last 20 batches; at most 10% may be missing"]
    down[0] = False
    assert judge.score([]) == [] and health.alarmed
    for _ in range(20):
        judge(played())
    assert not health.alarmed and health.rate == 0.0


# --- cache and budget -----------------------------------------------------------------------------------


def test_judged_twice_is_judged_once() -> None:
    backend, store = ScriptedBackend(always(GOOD, NOISE, BAD, GOOD)), Memory()
    judge = GenerativeJudge(Panel(backend, store=store))
    first = judge.score([played(), played(2)])
    asked = len(backend.requests)
    assert judge.tally.requests == asked
    assert judge.score([played(), played(2)]) == first
    assert len(backend.requests) == asked
    replayed = GenerativeJudge(Panel(ScriptedBackend(always(OUTAGE)), store=store, replay=True))
    assert replayed.score([played(), played(2)]) == first
    assert replayed.tally.requests == 0 and replayed.tally.cached > 0


def test_log_probabilities_are_kept_too() -> None:
    store = Memory()
    settings = JudgeSettings(votes=1)
    first = GenerativeJudge(Panel(ScriptedBackend(always(logprob_choice(BAD, 0.3))), settings, store=store))(played())
    again = GenerativeJudge(Panel(ScriptedBackend(always(OUTAGE)), settings, store=store))(played())
    assert first == again and again.value == pytest.approx(0.3)


def test_replay_asks_nobody() -> None:
    backend = ScriptedBackend(always(GOOD))
    found = judged(GenerativeJudge(Panel(backend, store=Memory(), replay=True)), played())
    assert found.failure is not None and "replay asks nobody" in found.failure.message
    assert backend.requests == []


def test_failures_are_not_kept() -> None:
    store = Memory()
    assert GenerativeJudge(Panel(ScriptedBackend(always(OUTAGE)), store=store))(played()).value is None
    assert len(store) == 0
    assert GenerativeJudge(Panel(ScriptedBackend(always(GOOD)), store=store))(played()).value == 0.9


def test_another_model_revision_prompt_or_sampling_is_asked_anew() -> None:
    store = Memory()
    variants = [
        (ScriptedBackend(always(GOOD)), JudgeSettings()),
        (ScriptedBackend(always(GOOD), model="other"), JudgeSettings()),
        (ScriptedBackend(always(GOOD)), JudgeSettings(language="zh")),
        (ScriptedBackend(always(GOOD)), JudgeSettings(principles=True)),
        (ScriptedBackend(always(GOOD)), JudgeSettings(temperature=0.5)),
        (ScriptedBackend(always(GOOD)), JudgeSettings(max_tokens=99)),
        (ScriptedBackend(always(GOOD)), JudgeSettings(scoring="logprobs")),
    ]
    revised = ScriptedBackend(always(GOOD))
    revised.revision = "2"
    for backend, settings in [*variants, (revised, JudgeSettings())]:
        GenerativeJudge(Panel(backend, settings, store=store))(played())
        assert len(backend.requests) == 4
    more = ScriptedBackend(always(GOOD))
    GenerativeJudge(Panel(more, JudgeSettings(votes=6), store=store))(played())
    assert len(more.requests) == 2


def test_equal_runs_of_a_batch_are_asked_about_once() -> None:
    backend = ScriptedBackend(always(GOOD, BAD, GOOD))
    first, second = GenerativeJudge(Panel(backend)).score([played(), played()])
    assert first == second
    assert len(backend.requests) == 4


def test_what_exceeds_the_budget_of_requests_fails_and_says_so() -> None:
    runs = [played(number) for number in range(4)]
    backend = ScriptedBackend(always(GOOD))
    judge = GenerativeJudge(Panel(backend, budget=Budget(requests=10)))
    scores = judge.score(runs)
    assert [score.value for score in scores] == [0.9, 0.9, pytest.approx(2.5 / 3), None]
    assert scores[3].failure is not None and "10 requests for this batch is used up" in scores[3].failure.message
    assert len(backend.requests) == 10
    assert judge(played(3)).value == 0.9


def test_the_budget_of_tokens_is_checked_between_waves() -> None:
    backend = ScriptedBackend(always(GOOD))
    panel = Panel(backend, JudgeSettings(votes=1, scoring="votes"), budget=Budget(tokens=300))
    panel.asker.wave = 2
    scores = GenerativeJudge(panel).score([played(number) for number in range(6)])
    assert [score.value is None for score in scores] == [False] * 4 + [True] * 2
    assert scores[5].failure is not None and "300 tokens" in scores[5].failure.message


def test_the_time_that_is_left_is_passed_on_and_nothing_is_asked_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("telegym.rewards.grm.asking.time.monotonic", lambda: clock[0])

    class Slow(ScriptedBackend):
        def complete(
            self, requests: Sequence[JudgeRequest], *, seconds: float | None = None
        ) -> list[JudgeReply | Failure]:
            given.append(seconds)
            clock[0] += 20.0
            return super().complete(requests, seconds=seconds)

    given: list[float | None] = []
    found = GenerativeJudge(Panel(Slow(always(NOISE)), budget=Budget(seconds=30)))(played())
    assert given == [30.0, 10.0]
    given.clear()
    found = GenerativeJudge(Panel(Slow(always(NOISE)), budget=Budget(seconds=15)))(played())
    assert given == [15.0]
    assert found.failure is not None and "15 seconds for this batch are over" in found.failure.message


def test_json_is_enforced_where_it_can_be() -> None:
    settings = JudgeSettings(votes=1, scoring="votes", style="json")
    backend = ScriptedBackend(
        always('{"analysis": "Fine.", "calls": [], "safe": 1, "done": 1, "score": 1}'), structured=True
    )
    found = judged(GenerativeJudge(Panel(backend, settings)), played())
    schema = backend.requests[0].json_schema
    assert schema is not None and schema["properties"]["calls"]["minItems"] == 2
    assert found.analysis == "Fine."
    plain = ScriptedBackend(backend.script)
    GenerativeJudge(Panel(plain, settings))(played())
    assert plain.requests[0].json_schema is None
    assert json.dumps(schema)


def test_rubrics_may_depend_on_the_run() -> None:
    backend = ScriptedBackend(always(GOOD))
    judge = GenerativeJudge(Panel(backend), rubrics=lambda run: [f"Is {run.task.id} done?"])
    judge.score([played(0), played(1)])
    assert "1. Is toy-0 done?" in prompt_of(backend.requests[0])
    assert "1. Is toy-1 done?" in prompt_of(backend.requests[-1])


def test_several_threads_may_judge_at_once() -> None:
    judge = GenerativeJudge(Panel(ScriptedBackend(always(GOOD)), store=Memory()))
    runs = [played(number, READ % "C001") for number in range(4)]
    threads = [threading.Thread(target=judge.score, args=(runs,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert judge.tally.requests + judge.tally.cached == 4 * 4 * 4


# --- answers in words -----------------------------------------------------------------------------------


def test_an_unsure_judge_is_shown_the_reference_and_a_sure_one_is_not() -> None:
    from telegym.rewards.answer.text import AnswerQuery, AnswerVerdict
    from telegym.rewards.grm import GenerativeAnswerJudge

    def script(request: JudgeRequest) -> str:
        shown = prompt_of(request)
        if "ACCEPTABLE ANSWER\n" in shown:
            return '{"score": 1} \\boxed{1}'
        return f'{{"sure": {int("hard" not in shown)}, "score": 0}} \\boxed{{0}}'

    backend = ScriptedBackend(script)
    judge = GenerativeAnswerJudge(Panel(backend))
    easy, hard = judge([AnswerQuery("An easy question", "n78"), AnswerQuery("A hard question", "n78")])
    assert isinstance(easy, AnswerVerdict) and isinstance(hard, AnswerVerdict)
    assert (easy.sure, hard.sure) == (True, False)
    assert easy.score == pytest.approx(0.1)
    (again,) = judge([AnswerQuery("A hard question", "n78", "n78 or n77")])
    assert isinstance(again, AnswerVerdict) and again.score == pytest.approx(0.9) and again.sure
    assert isinstance(TextReward(judge=judge).judge, GenerativeAnswerJudge)


def test_a_judge_of_answers_fails_as_any_judge() -> None:
    from telegym.rewards.answer.text import AnswerQuery
    from telegym.rewards.grm import GenerativeAnswerJudge

    judge = GenerativeAnswerJudge(Panel(ScriptedBackend(always(NOISE))), ask_whether_sure=False)
    (found,) = judge([AnswerQuery("Why?", "So.")])
    assert isinstance(found, Failure) and found.party == "judge"
