"""The row cache gives what reading everything again would give."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

torch = pytest.importorskip("torch")

from transformers import Qwen3Config, Qwen3ForCausalLM  # noqa: E402

from telegym.agents.generation import GenerationEngine, SampledTurn, Sampling, evaluating  # noqa: E402

VOCABULARY = 97
STOP = frozenset(range(90, 97))


@pytest.fixture(scope="module")
def model() -> Qwen3ForCausalLM:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=VOCABULARY,
                hidden_size=32,
                intermediate_size=48,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                head_dim=8,
                max_position_embeddings=1024,
                initializer_range=0.3,
            )
        )


class Script:
    """Answers turns with random tokens; each conversation has its own number of turns."""

    def __init__(self, seed: int, count: int, long: int = 30) -> None:
        self.rng = [random.Random(f"{seed}/{index}") for index in range(count)]
        self.prompts = [[rng.randrange(90) for _ in range(rng.randint(1, long))] for rng in self.rng]
        self.left = [rng.randint(0, 4) for rng in self.rng]
        self.turns: list[list[SampledTurn]] = [[] for _ in range(count)]
        self.suffixes: list[list[list[int]]] = [[] for _ in range(count)]

    def advance(self, turns: Sequence[SampledTurn]) -> list[list[int] | None]:
        return [self.answer(turn) for turn in turns]

    def answer(self, turn: SampledTurn) -> list[int] | None:
        self.turns[turn.index].append(turn)
        if self.left[turn.index] == 0:
            return None
        self.left[turn.index] -= 1
        rng = self.rng[turn.index]
        suffix = [rng.randrange(90) for _ in range(rng.choice([1, 3, 25]))]
        self.suffixes[turn.index].append(suffix)
        return suffix


def greedy_by_reading_again(model: Qwen3ForCausalLM, history: list[int], limit: int) -> list[int]:
    turn: list[int] = []
    with torch.no_grad():
        while len(turn) < limit:
            token = int(model(input_ids=torch.tensor([history + turn])).logits[0, -1].argmax())
            turn.append(token)
            if token in STOP:
                break
    return turn


@pytest.mark.parametrize("rows", [1, 3, 16])
def test_greedy_turns_equal_those_of_reading_everything_again(model: Qwen3ForCausalLM, rows: int) -> None:
    script = Script(rows, 11)
    sampling = Sampling(temperature=0.0, turn_tokens=12, context=400)
    GenerationEngine(model, STOP, sampling, rows).run(script.prompts, [str(i) for i in range(11)], script.advance)
    assert len({len(turns) for turns in script.turns}) > 2
    for prompt, turns, suffixes in zip(script.prompts, script.turns, script.suffixes, strict=True):
        history = list(prompt)
        for number, turn in enumerate(turns):
            assert turn.ids == greedy_by_reading_again(model, history, 12)
            assert turn.complete == (turn.ids[-1] in STOP)
            history += turn.ids + (suffixes[number] if number < len(suffixes) else [])


def test_what_is_sampled_does_not_depend_on_the_neighbours(model: Qwen3ForCausalLM) -> None:
    def play(rows: int, chosen: Sequence[int]) -> list[list[list[int]]]:
        script = Script(5, 9)
        script.prompts = [script.prompts[i] for i in chosen]
        for name in ("left", "rng"):
            setattr(script, name, [getattr(script, name)[i] for i in chosen])
        engine = GenerationEngine(model, STOP, Sampling(top_p=0.9, turn_tokens=10, context=400), rows)
        engine.run(script.prompts, [str(i) for i in chosen], script.advance)
        return [[turn.ids for turn in turns] for turns in script.turns[: len(chosen)]]

    together = play(9, range(9))
    assert play(2, range(9)) == together
    assert play(4, [7, 2]) == [together[7], together[2]]


def test_log_probabilities_are_those_of_the_distribution_drawn_from(model: Qwen3ForCausalLM) -> None:
    script = Script(1, 4)
    sampling = Sampling(temperature=0.7, turn_tokens=8, context=400, logprobs=True)
    GenerationEngine(model, STOP, sampling).run(script.prompts, [str(i) for i in range(4)], script.advance)
    for prompt, turns in zip(script.prompts, script.turns, strict=True):
        ids = turns[0].ids
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1]
        expected = torch.log_softmax(logits / 0.7, -1)[torch.arange(len(ids)), torch.tensor(ids)]
        assert turns[0].logprobs == pytest.approx(expected.tolist(), abs=1e-4)


def test_a_small_nucleus_is_greedy(model: Qwen3ForCausalLM) -> None:
    def first_turns(sampling: Sampling) -> list[list[int]]:
        script = Script(2, 5)
        GenerationEngine(model, STOP, sampling).run(script.prompts, ["a"] * 5, script.advance)
        return [turns[0].ids for turns in script.turns]

    greedy = first_turns(Sampling(temperature=0.0, turn_tokens=6))
    assert first_turns(Sampling(top_p=1e-6, turn_tokens=6)) == greedy
    assert first_turns(Sampling(turn_tokens=6)) != greedy


def test_a_full_context_ends_the_turn_and_the_conversation(model: Qwen3ForCausalLM) -> None:
    seen: list[SampledTurn] = []

    def advance(turns: Sequence[SampledTurn]) -> list[list[int]]:
        seen.extend(turns)
        return [[1] * 20 for _ in turns]

    GenerationEngine(model, (), Sampling(turn_tokens=15, context=64)).run([[1] * 10], ["a"], advance)
    assert [len(turn.ids) for turn in seen] == [15, 15]
    assert not any(turn.complete for turn in seen)


def test_the_model_is_left_as_it_was(model: Qwen3ForCausalLM) -> None:
    model.train()
    before = model.config._attn_implementation
    with evaluating(model):
        assert not model.training
        assert not torch.is_grad_enabled()
    assert model.training
    assert model.config._attn_implementation == before
