"""Signals of a model are what a slow loop over its tokens gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from telegym.agents.prompting import ChatCodec, PromptProfile  # noqa: E402
from telegym.agents.signals import (  # noqa: E402
    Baseline,
    Question,
    fill_signals,
    reference_probabilities,
    sequence_of,
    signals_of_tokens,
    signals_of_transcripts,
)
from telegym.agents.training import nano  # noqa: E402
from telegym.agents.training.recipe import ShapeSettings  # noqa: E402
from telegym.agents.training.rollouts import Transcript  # noqa: E402
from telegym.rewards.base import Run, Signals  # noqa: E402
from telegym.rewards.confidence import Confidence  # noqa: E402
from telegym.rewards.probability import ReferenceProbability  # noqa: E402
from tests.rewards.parts import toy_run  # noqa: E402

SHAPE = ShapeSettings(vocabulary=1800, layers=2, hidden=32, feed_forward=64, heads=2, head_size=16, context=512)


class Policy(NamedTuple):
    model: Any
    codec: ChatCodec


@pytest.fixture(scope="module")
def policy() -> Policy:
    """A small model with random weights, large enough that its distributions are not flat; exact to many digits."""
    texts = ["Bring counter C001 to 7.", "read_counter", "change_counter", "done", "user assistant tool"]
    tokenizer = nano.train_tokenizer(texts, SHAPE.vocabulary)
    model = nano.new_model(tokenizer, SHAPE, seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    model.double().eval()
    return Policy(model, ChatCodec(tokenizer, PromptProfile(tools="none", policy="none")))


def slow(model: Any, ids: Sequence[int], mask: Sequence[int], temperature: float = 1.0) -> list[list[float]]:
    """Log-probabilities, entropies and certainties in nats, one token and one forward pass at a time."""
    found: list[list[float]] = [[], [], []]
    for place in range(1, len(ids)):
        if not mask[place]:
            continue
        with torch.no_grad():
            logits = [value / temperature for value in model(torch.tensor([list(ids[:place])])).logits[0, -1].tolist()]
        highest = max(logits)
        total = highest + math.log(sum(math.exp(value - highest) for value in logits))
        logs = [value - total for value in logits]
        found[0].append(logs[ids[place]])
        found[1].append(-sum(math.exp(value) * value for value in logs))
        found[2].append(sum(math.log(1 / len(logs)) - value for value in logs) / len(logs))
    return found


def sample(policy: Policy) -> tuple[list[list[int]], list[list[int]]]:
    generator = torch.Generator().manual_seed(1)
    size = policy.model.config.vocab_size
    ids = [torch.randint(size, (length,), generator=generator).tolist() for length in (9, 24, 5, 14)]
    masks = [[0, *(torch.rand(len(each) - 1, generator=generator) < 0.5).int().tolist()] for each in ids]
    masks[2] = [0] * 5
    return ids, masks


@pytest.mark.parametrize(("temperature", "tokens"), [(1.0, 8192), (0.7, 30)])
def test_signals_are_those_of_a_slow_loop(policy: Policy, temperature: float, tokens: int) -> None:
    ids, masks = sample(policy)
    found = signals_of_tokens(policy.model, ids, masks, temperature=temperature, tokens=tokens)
    for signals, sequence, mask in zip(found, ids, masks, strict=True):
        logprobs, entropies, certainties = slow(policy.model, sequence, mask, temperature)
        assert list(signals.logprobs) == pytest.approx(logprobs, abs=1e-5)
        assert list(signals.entropies) == pytest.approx(entropies, abs=1e-5)
        assert list(signals.certainties) == pytest.approx(certainties, abs=1e-5)


def test_masks_have_to_fit(policy: Policy) -> None:
    with pytest.raises(ValueError, match="mask 0"):
        signals_of_tokens(policy.model, [[1, 2]], [[1, 0]])
    with pytest.raises(ValueError, match="mask 1"):
        signals_of_tokens(policy.model, [[1, 2], [1, 2]], [[0, 1], [0]])


def test_rollouts_and_runs_have_the_same_signals(policy: Policy) -> None:
    runs = [toy_run(task) for task in range(3)]
    transcripts = []
    for run in runs:
        ids, mask = sequence_of(policy.codec, run)
        start = mask.index(1)
        transcripts.append(Transcript(run.episode, ids[:start], ids[start:], mask[start:]))
    fill_signals(policy.model, policy.codec, runs)
    for run, signals in zip(runs, signals_of_transcripts(policy.model, transcripts), strict=True):
        assert run.signals is not None
        assert list(run.signals.logprobs) == pytest.approx(list(signals.logprobs), abs=1e-9)
        ids, mask = sequence_of(policy.codec, run)
        assert len(signals.logprobs) == sum(mask) > 0
        expected = slow(policy.model, ids, mask)
        for measure, values in (("self_certainty", expected[2]), ("mean_log_likelihood", expected[0])):
            score = Confidence(measure)(run)  # type: ignore[arg-type]
            assert score.value == pytest.approx(sum(values) / len(values), abs=1e-5)
        bits = sum(expected[1]) / len(expected[1]) / math.log(2)
        assert Confidence("entropy")(run).value == pytest.approx(-bits, abs=1e-5)


def test_a_recorded_run_is_rendered_as_the_live_one(policy: Policy) -> None:
    run = toy_run(1)
    recorded = Run(trajectory=run.trajectory, reopen=lambda trajectory: run.episode)
    assert sequence_of(policy.codec, recorded) == sequence_of(policy.codec, run)


def test_probabilities_of_references_are_those_of_a_slow_loop(policy: Policy) -> None:
    (short, long, _, other), _ = sample(policy)
    contexts, answers = [long[:20], short[:3], other[:6]], [long[20:], short[3:7], other[6:9]]
    found = reference_probabilities(policy.model, contexts, answers)
    for context, answer, values in zip(contexts, answers, found, strict=True):
        logprobs = slow(policy.model, [*context, *answer], [0] * len(context) + [1] * len(answer))[0]
        assert values == pytest.approx([math.exp(value) for value in logprobs], abs=1e-5)


def test_the_baseline_is_computed_once_by_the_first_policy(policy: Policy) -> None:
    (_, long, _, other), _ = sample(policy)
    questions = [Question(long[:20], long[:4], long[20:]), Question(other[:9], long[:4], long[20:])]
    runs = [toy_run(), toy_run()]
    runs[0].signals = Signals(logprobs=[-1.0])
    baseline = Baseline(policy.model)
    baseline.fill(policy.model, runs, questions)
    assert len(baseline) == 1
    kept = baseline.of(questions[:1])
    other_model = nano.new_model(policy.codec.tokenizer, SHAPE, seed=1).double()
    baseline.fill(other_model, runs, questions)
    assert baseline.of(questions[:1]) == kept
    for run, question in zip(runs, questions, strict=True):
        assert run.signals is not None
        assert list(run.signals.baseline_probabilities) == kept[0]
        mask = [0] * len(question.reasoned) + [1] * len(question.answer)
        reasoned = [math.exp(v) for v in slow(other_model, [*question.reasoned, *question.answer], mask)[0]]
        plain_mask = [0] * len(question.plain) + [1] * len(question.answer)
        plain = [math.exp(v) for v in slow(policy.model, [*question.plain, *question.answer], plain_mask)[0]]
        expected = min(1.0, max(0.0, sum(reasoned) / len(reasoned) - sum(plain) / len(plain)))
        assert ReferenceProbability()(run).value == pytest.approx(expected, abs=1e-5)
    assert runs[0].signals is not None
    assert list(runs[0].signals.logprobs) == [-1.0]
