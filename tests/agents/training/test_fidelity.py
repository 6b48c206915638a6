"""What is trained on is what was sampled, token for token, whatever tokenizers and templates would make of it.

    pytest -m slow tests/agents/training/test_fidelity.py -s

plays 10,000 turns, and prints how many tokens were compared and how many differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from telegym.agents.prompting import ChatCodec, PromptProfile
from telegym.agents.training.grpo import EpisodeGRPOTrainer
from telegym.agents.training.rollouts import Player
from telegym.core.episode import Episode

from .adversaries import TEMPLATES, TOKENIZERS, NastyEnvironment, Sampler
from .toy_trainer import Policy, make_trainer

ROWS = 8


class Count:
    """What was compared."""

    def __init__(self) -> None:
        self.turns = self.tokens = self.differences = self.not_canonical = 0

    def add(self, codec: ChatCodec, sampled: Sequence[int], trained: Sequence[int]) -> None:
        """Compare a turn as it was sampled with the turn as it is trained on."""
        self.turns += 1
        self.tokens += len(sampled)
        pairs = zip(sampled, trained, strict=False)
        self.differences += abs(len(sampled) - len(trained)) + sum(one != other for one, other in pairs)
        again = codec.tokenizer.encode(codec.text(sampled), add_special_tokens=False)
        self.not_canonical += list(again) != [token for token in sampled if token not in codec.stop_ids]


def play_round(codec: ChatCodec, environment: NastyEnvironment, seed: int, count: Count, most: int = 1500) -> None:
    """Play some episodes to their ends; compare what was sampled, what the episode read, and what is trained on."""
    sampler = Sampler(codec.tokenizer, seed)
    tasks = environment.tasks
    episodes = [Episode(environment, tasks[(seed * ROWS + row) % len(tasks)], seed=seed) for row in range(ROWS)]
    player = Player(codec, episodes, most)
    contexts = [list(item.prompt) for item in player.transcripts]
    active = list(range(ROWS))
    while active:
        turns = [sampler.write(index) for index in active]
        suffixes = player.advance(turns)
        for turn, suffix in zip(turns, suffixes, strict=True):
            contexts[turn.index] += [*turn.ids, *(suffix or [])]
        active = [index for index, suffix in zip(active, suffixes, strict=True) if suffix is not None]
    for index, item in enumerate(player.transcripts):
        written = sampler.written[index]
        whole = item.prompt + item.completion
        assert contexts[index][: len(whole)] == whole
        chosen = [token for token, mask in zip(item.completion, item.mask, strict=True) if mask]
        for number, (sampled, (start, end)) in enumerate(zip(written, item.turns, strict=True)):
            trained, kept = chosen[: end - start], sampled[: end - start]
            assert kept == sampled or number == len(written) - 1
            count.add(codec, kept, trained)
            chosen = chosen[end - start :]
            if number < len(item.episode.actions):
                assert item.episode.actions[number] == codec.text(sampled).encode("utf-8", "replace").decode()
        assert chosen == []


def codec_of(tokenizer: str, template: str) -> ChatCodec:
    return ChatCodec(TOKENIZERS[tokenizer](template), PromptProfile(tools="none", policy="none"))


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_tokens_trained_on_are_tokens_sampled(tokenizer: str, template: str) -> None:
    count = Count()
    codec = codec_of(tokenizer, template)
    environment = NastyEnvironment()
    for seed in range(2):
        play_round(codec, environment, seed, count)
    assert count.differences == 0
    assert count.turns > 40 and count.not_canonical > count.turns / 4


@pytest.mark.slow
def test_ten_thousand_turns() -> None:
    total = Count()
    environment = NastyEnvironment()
    codecs = [codec_of(tokenizer, template) for tokenizer in TOKENIZERS for template in TEMPLATES]
    seed = 0
    while total.turns < 10_000:
        play_round(codecs[seed % len(codecs)], environment, seed, total)
        seed += 1
    print(  # noqa: T201 - the figure is what this is run for
        f"{total.turns} turns, {total.tokens} tokens sampled, {total.not_canonical} turns not as their tokenizer would "
        f"write them: {total.differences} differences"
    )
    assert total.differences == 0


def test_the_trainer_gets_these_tokens(policy: Policy, tmp_path: Path) -> None:
    """Through TRL's padding and masks, up to what the loss is computed on."""
    environment = NastyEnvironment()

    class Whole(EpisodeGRPOTrainer):
        _may_select = False

        def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
            seen.append(inputs)
            return super()._compute_loss(model, inputs)

    seen: list[dict[str, Any]] = []
    played: list[Any] = []
    trainer = make_trainer(
        policy, environment, tmp_path, Whole, lambda step, transcripts, scores: played.extend(transcripts), max_steps=1
    )
    sampler = Sampler(policy.tokenizer, 7, most=38)

    def single_turn(ids: Sequence[list[int]], *_: Any, **__: Any) -> tuple[list[list[int]], None]:
        return [sampler.write(place).ids for place, _ in enumerate(ids)], None

    trainer._generate_single_turn = single_turn
    trainer._play_rows = lambda items, rows: trainer.play_in_lock_step([items[row] for row in rows])  # type: ignore[method-assign]
    trainer.train()
    (inputs,) = seen
    order = {tuple(item.completion): item for item in played}
    for row in range(16):
        length = int(inputs["completion_mask"][row].sum())
        ids = inputs["completion_ids"][row][:length].tolist()
        mask = inputs["tool_mask"][row][:length].tolist()
        item = order[tuple(ids)]
        assert mask == item.mask
        turns = [ids[start:end] for start, end in item.turns]
        written = [turn for turns in sampler.written.values() for turn in turns]
        assert all(turn in written or turn == ids[item.turns[-1][0] :] for turn in turns)
        assert [token for turn in turns for token in turn] == [
            token for token, sampled in zip(ids, mask, strict=True) if sampled
        ]
