"""Reference answers are asked for where a run has its own, live as offline."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from rich.console import Console  # noqa: E402

from telegym.agents.generation import SampledTurn  # noqa: E402
from telegym.agents.local import load_model, load_tokenizer  # noqa: E402
from telegym.agents.prompting import ChatCodec, PromptProfile, call_text  # noqa: E402
from telegym.agents.references import References, place_of, transcript_of  # noqa: E402
from telegym.agents.training import nano, reinforce  # noqa: E402
from telegym.agents.training.context import RunContext  # noqa: E402
from telegym.agents.training.recipe import Recipe, ShapeSettings  # noqa: E402
from telegym.agents.training.rollouts import Player, Transcript  # noqa: E402
from telegym.agents.training.run import RunFolder, RunResult  # noqa: E402
from telegym.core.episode import Episode  # noqa: E402
from telegym.core.errors import ConfigurationError  # noqa: E402
from telegym.core.messages import Message, ToolCall  # noqa: E402
from telegym.envs.questions.telemath import TeleMath  # noqa: E402
from telegym.rewards.base import Run  # noqa: E402
from telegym.rewards.probability import ReferenceProbability  # noqa: E402
from telegym.rewards.recipe import load_reward_recipe  # noqa: E402
from tests.agents.training.toy import ToyEnvironment  # noqa: E402

SHAPE = ShapeSettings(vocabulary=1800, layers=2, hidden=32, feed_forward=64, heads=2, head_size=16, context=1024)


class Policy(NamedTuple):
    model: Any
    codec: ChatCodec


@pytest.fixture(scope="module")
def policy() -> Policy:
    """A small model with random weights, whose distributions are not flat."""
    texts = [task.ticket for task in TeleMath(tools="none").tasks[:20]] + ["user assistant It is about dB. <answer>"]
    tokenizer = nano.train_tokenizer(texts, SHAPE.vocabulary)
    model = nano.new_model(tokenizer, SHAPE, seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return Policy(model.eval(), ChatCodec(tokenizer, PromptProfile(tools="none", policy="none")))


def played(codec: ChatCodec, environment: Any, *turns: str, task: int = 0) -> Transcript:
    """Play an episode with these turns, sampled as the tokenizer would write them."""
    episode = Episode(environment, environment.tasks[task], 0)
    player = Player(codec, [episode], 500)
    for text in turns:
        if not episode.done:
            player.advance([SampledTurn(0, codec.turn(text), True)])
    return player.transcripts[0]


def submit(answer: Any) -> str:
    return call_text(
        Message(role="assistant", tool_calls=(ToolCall(id="c", name="submit_answer", arguments={"answer": answer}),))
    )


def probability(model: Any, ids: Sequence[int], answer: Sequence[int]) -> list[float]:
    """Return the probability of each token of an answer, one forward pass each."""
    found = []
    for place, token in enumerate(answer):
        with torch.no_grad():
            logits = model(torch.tensor([[*ids, *answer[:place]]])).logits[0, -1].double()
        found.append(float(torch.softmax(logits, -1)[token]))
    return found


@pytest.mark.parametrize(
    ("tools", "turns", "before", "opening"),
    [
        ("none", ("It is near. <answer>12.5</answer>",), "It is near. <answer>", "<answer>"),
        ("none", ("<think>3 <answer>1</answer></think> so <answer>2</answer>",),
         "<think>3 <answer>1</answer></think> so <answer>", "<answer>"),
        ("none", (r"It is \boxed{4}",), r"It is \boxed{", r"\boxed{"),
        ("none", ("<think>hm</think> 4",), "<think>hm</think> ", ""),
        ("submit", (submit(12.5),), '<tool_call>\n{"name": "submit_answer", "arguments": {"answer": ', None),
        ("submit", ("Well. " + submit("12.5"),),
         'Well. <tool_call>\n{"name": "submit_answer", "arguments": {"answer": "', None),
    ],
)  # fmt: skip
def test_the_reference_takes_the_place_of_the_answer(
    policy: Policy, tools: Any, turns: tuple[str, ...], before: str, opening: str | None
) -> None:
    environment = TeleMath(tools=tools, count=3)
    item = played(policy.codec, environment, *turns)
    references = References(policy.codec, environment)
    question, answered = references.question(Run.of(item.episode), item)
    assert answered
    assert question.reasoned[: len(item.prompt)] == question.plain[: len(item.prompt)] == item.prompt
    assert policy.codec.text(question.reasoned[len(item.prompt) :]) == before
    expected = opening if opening is not None else before.removeprefix("Well. ")
    assert policy.codec.text(question.plain[len(item.prompt) :]) == expected
    assert policy.codec.text(question.answer) == str(environment.right_answer(item.episode.task))


def test_tokens_before_the_place_are_those_that_were_sampled(policy: Policy) -> None:
    """A text that was sampled in other tokens than the tokenizer would choose is not written anew."""
    environment = TeleMath(tools="none", count=3)
    text = "It is near. <answer>12.5</answer>"
    ids = [token for character in text for token in policy.codec.turn(character)[:-1]]
    assert ids != policy.codec.turn(text)[:-1]
    episode = Episode(environment, environment.tasks[0], 0)
    player = Player(policy.codec, [episode], 500)
    player.advance([SampledTurn(0, [*ids, policy.codec.stop_ids[0]], True)])
    item = player.transcripts[0]
    question, _ = References(policy.codec, environment).question(Run.of(episode), item)
    reasoned = question.reasoned[len(item.prompt) :]
    assert reasoned == ids[: len(reasoned)]
    assert policy.codec.text(reasoned) == "It is near. <answer>"


def test_without_an_answer_there_is_no_place(policy: Policy) -> None:
    environment = TeleMath(tools="submit", count=3)
    item = played(policy.codec, environment, "I do not know.")
    run = Run.of(item.episode)
    assert place_of(environment.extraction, run, ["I do not know."]) is None
    references = References(policy.codec, environment, policy.model)
    references.fill(policy.model, [run], [item])
    assert run.signals is not None
    assert list(run.signals.reference_probabilities) == [0.0]
    assert len(run.signals.baseline_probabilities) > 0
    assert ReferenceProbability()(run).value == 0.0


def test_the_values_are_the_definition(policy: Policy) -> None:
    environment = TeleMath(tools="none", count=3)
    items = [
        played(policy.codec, environment, text, task=task)
        for task, text in enumerate(("It is 3. <answer>3</answer>", "<answer>5</answer>", "Near 4, <answer>4</answer>"))
    ]
    runs = [Run.of(item.episode) for item in items]
    References(policy.codec, environment, policy.model).fill(policy.model, runs, items)
    values = []
    for run, item in zip(runs, items, strict=True):
        answer = policy.codec.turn(str(environment.right_answer(run.task)))[:-1]
        text = policy.codec.text(item.completion)
        reasoned = [*item.prompt, *policy.codec.turn(text[: text.index("<answer>") + 8])[:-1]]
        plain = [*item.prompt, *policy.codec.turn("<answer>")[:-1]]
        with_, without = probability(policy.model, reasoned, answer), probability(policy.model, plain, answer)
        difference = sum(with_) / len(with_) - sum(without) / len(without)
        score = ReferenceProbability()(run)
        assert score.components["with_reasoning"] == pytest.approx(sum(with_) / len(with_), rel=1e-3)
        assert score.value == pytest.approx(min(1.0, max(0.0, difference)), abs=1e-6)
        values.append(score.value)
    assert values[1] == pytest.approx(0.0, abs=1e-9)  # without reasoning, nothing is gained


def test_a_run_is_asked_about_as_its_rollout_was(policy: Policy) -> None:
    environment = TeleMath(tools="all", count=3)
    compute = call_text(
        Message(role="assistant", tool_calls=(ToolCall(id="c", name="calculator", arguments={"expression": "1+1"}),))
    )
    item = played(policy.codec, environment, compute, submit(2))
    again = transcript_of(policy.codec, Run.of(item.episode))
    assert (again.prompt, again.completion, again.mask, again.turns) == (
        item.prompt, item.completion, item.mask, item.turns,
    )  # fmt: skip
    references = References(policy.codec, environment)
    assert references.question(Run.of(item.episode), again) == references.question(Run.of(item.episode), item)


def test_environments_without_right_answers_are_refused(policy: Policy) -> None:
    with pytest.raises(ConfigurationError, match="environment 'toy-units' has none; sets of questions"):
        References(policy.codec, ToyEnvironment(3))


REASONS = ("", "It is about 3 dB. ", "Think of the distance. ", "Frequency counts, and distance too. ")


def test_a_recipe_trains_by_probability(policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rewards are what a computation afterwards gives, with the baseline of the first policy in later steps too."""
    from telegym.agents.training.grpo import EpisodeGRPOTrainer

    nano.save(policy.model, policy.codec.tokenizer, tmp_path / "model")
    seen: list[list[tuple[Transcript, float]]] = []
    models: list[Any] = []

    def scripted(self: Any, items: Sequence[Episode], rows: Any = None) -> list[Transcript]:
        player = Player(self._codec, items, self.max_completion_length)
        texts = [f"{REASONS[place % 4]}<answer>{place}</answer>" for place in range(len(items))]
        player.advance([SampledTurn(place, self._codec.turn(text), True) for place, text in enumerate(texts)])
        return player.transcripts

    original = EpisodeGRPOTrainer.play_batch

    def keeping(self: Any) -> dict[str, Any]:
        model = type(self.model)(self.model.config).eval()
        model.load_state_dict(self.model.state_dict())
        models.append(model)
        output = original(self)
        seen.append(list(zip(self._transcripts, output["value"], strict=True)))
        return output

    monkeypatch.setattr(EpisodeGRPOTrainer, "_play", scripted)
    monkeypatch.setattr(EpisodeGRPOTrainer, "play_batch", keeping)
    # What a random model finds less likely after reasoning would all be 0.
    rewards = load_reward_recipe("rlpr", ["rewards.probability.clip=false"])
    recipe = Recipe.model_validate(
        {
            "threads": 1,
            "model": {"name": str(tmp_path / "model")},
            "environment": {"id": "telemath", "options": {"tools": "none"}, "train": {"count": 20}},
            "rollout": {"completion_tokens": 200, "context": 1024, "keep": False},
            "grpo": {
                "steps": 2,
                "groups": 2,
                "group_size": 4,
                "learning_rate": 0.01,
                "reward": None,
                "rewards": rewards.model_dump(mode="json"),
            },
        }
    )
    context = RunContext(recipe, RunFolder(tmp_path), Console(file=io.StringIO()), RunResult(tmp_path))
    model = load_model(recipe.model.name, dtype=context.dtype)
    trainer = reinforce._grpo_trainer(context, model, load_tokenizer(recipe.model.name), policy.codec)
    before = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
    trainer.train()
    assert any(not torch.equal(value, before[name]) for name, value in trainer.model.named_parameters())
    rows = [row for row in trainer.state.log_history if "loss" in row]
    assert all(math.isfinite(row["loss"]) and row["rewards/failures"] == 0 for row in rows)
    assert any(row["grad_norm"] > 0 for row in rows)
    assert len({round(value, 9) for value in [value for _, value in seen[0]]}) > 2
    offline = References(policy.codec, TeleMath(tools="none", count=20), models[0])
    built = rewards.build()
    for step, present in zip(seen, models, strict=True):
        runs = [Run.of(item.episode) for item, _ in step]
        offline.fill(present, runs, [transcript_of(policy.codec, run) for run in runs])
        expected = [score.value for score in built.score(runs)]
        assert [value for _, value in step] == pytest.approx(expected, abs=1e-7)
