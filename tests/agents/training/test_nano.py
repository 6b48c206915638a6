"""The nano policy: its tokenizer gives back every text, its template never rewrites, fresh weights copy."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from telegym.agents.local import load_model, load_tokenizer
from telegym.agents.prompting import call_text
from telegym.agents.training import nano
from telegym.agents.training.recipe import ShapeSettings
from telegym.core.episode import Episode

from .conftest import SHAPE
from .toy import ToyEnvironment, demonstrator
from .toy_trainer import Policy


@given(text=st.text(max_size=60))
def test_every_text_comes_back(taught: Policy, text: str) -> None:
    assert taught.tokenizer.decode(taught.codec.tokenizer.encode(text, add_special_tokens=False)) == text


def test_the_template_renders_what_the_codec_appends(taught: Policy, environment: ToyEnvironment) -> None:
    episode, act = Episode(environment, environment.tasks[3]), demonstrator(0.8)
    ids = taught.codec.prompt(episode)
    while not episode.done:
        message = act(episode)
        ids += taught.codec.turn(message)
        answers = episode.step(message)
        if not episode.done:
            ids += taught.codec.suffix(answers)
            messages = [item.to_openai() for item in episode.agent_messages()]
            rendered = taught.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            assert taught.tokenizer.decode(ids) == rendered
            assert call_text(message) in rendered


def test_numbers_of_four_digits_are_tokens_and_every_text_comes_back() -> None:
    texts = ["line L1002 of 555-123-2002", "45 GB until 2025-02-28, bill B2357789 of 81.05"] * 30
    tokenizer = nano.train_tokenizer(texts, 11_400, digits=4)
    pieces = [
        tokenizer.decode([token]) for token in tokenizer.encode("L1002 555-123-2002 B2357789", add_special_tokens=False)
    ]
    assert [piece for piece in pieces if piece.strip().isdigit()] == ["1002", "555", "123", "2002", "2357", "789"]
    for text in (*texts[:2], "", "0", "00123456789 012-3", "1١2٢3"):
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text
    assert nano.numbers(tokenizer).keys() >= set(tokenizer.convert_tokens_to_ids(["0000", "789"]))
    with pytest.raises(ValidationError, match="no room for 11,000 numbers"):
        ShapeSettings(digits=4)


def test_a_fresh_model_expects_what_followed_last_time(taught: Policy) -> None:
    model = nano.new_model(taught.tokenizer, SHAPE.model_copy(update={"hidden": 128, "head_size": 32}), seed=1)
    generator = torch.Generator().manual_seed(0)
    once = torch.tensor(sorted(nano.numbers(taught.tokenizer)))[torch.randperm(1000, generator=generator)[:40]]
    with torch.no_grad():
        logits = model(input_ids=torch.cat([once, once])[None]).logits[0, 40:-1]
    size = logits.shape[-1]
    ranks = (logits > logits.gather(-1, once[1:, None])).sum(-1)
    assert (ranks < size // 10).float().mean() > 0.7


def test_heads_that_look_further_back_expect_what_came_later(taught: Policy) -> None:
    near, far = _expected_again(taught, look_back=(1,)), _expected_again(taught, look_back=(1, 2, 5))
    assert near[1] > max(near[2], near[5]) + 0.1
    assert all(far[ahead] > near[ahead] + 0.05 for ahead in (2, 5)), (near, far)
    assert far[1] > near[2] + 0.05


def _expected_again(taught: Policy, look_back: tuple[int, ...]) -> dict[int, float]:
    """Return how often fresh models expect the token some places after where the present one stood before."""
    changes = {"hidden": 160, "heads": 6, "shared_heads": 3, "head_size": 32, "look_back": look_back}
    shape = ShapeSettings.model_validate(SHAPE.model_dump() | changes)
    once = torch.tensor(sorted(nano.numbers(taught.tokenizer)))
    once = once[torch.randperm(1000, generator=torch.Generator().manual_seed(0))[:40]]
    found = {1: 0.0, 2: 0.0, 5: 0.0}
    for seed in range(4):
        with torch.no_grad():
            logits = nano.new_model(taught.tokenizer, shape, seed)(input_ids=once.repeat(1, 2)).logits[0, 40:]
        for ahead in found:
            ranks = (logits[:-ahead] > logits[:-ahead].gather(-1, once[ahead:, None])).sum(-1)
            found[ahead] += float((ranks < logits.shape[-1] // 10).float().mean()) / 4
    return found


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [({"look_back": (1, 2, 3)}, "shared_heads allow 1 to 2"), ({"look_back": (1, 2)}, "hidden: 64")],
)
def test_heads_that_look_back_need_room(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        ShapeSettings.model_validate({"hidden": 64, "head_size": 32, "heads": 4, "shared_heads": 2} | changes)


def test_building_a_model_leaves_the_global_random_state(taught: Policy) -> None:
    before = torch.random.get_rng_state()
    first = nano.new_model(taught.tokenizer, SHAPE, seed=4)
    assert torch.equal(before, torch.random.get_rng_state())
    again = nano.new_model(taught.tokenizer, SHAPE, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_a_saved_model_is_small_and_the_same(taught: Policy, taught_folder: str) -> None:
    files = {path.name: path.stat().st_size for path in Path(taught_folder).iterdir()}
    assert files["model.safetensors"] < 2.2 * sum(p.numel() for p in taught.model.parameters()) + 20_000
    loaded = load_model(taught_folder)
    assert load_tokenizer(taught_folder).chat_template == nano.chat_template()
    for name, value in taught.model.state_dict().items():
        assert torch.allclose(loaded.state_dict()[name], value, atol=1e-3, rtol=1e-3), name


def test_the_shipped_policy_is_small_and_knows_its_tools() -> None:
    from telegym.agents.local import nano_agent
    from telegym.agents.rollout import rollout
    from telegym.core.tool import CallError
    from telegym.envs.registry import make_environment

    environment = make_environment("tau2-telecom", split="test", count=8)
    episodes = rollout(environment, environment.tasks, nano_agent(temperature=0.0))
    calls = [call for episode in episodes for call in episode.calls]
    assert len(calls) > 20
    misshapen = (CallError.MALFORMED, CallError.UNKNOWN_TOOL, CallError.INVALID_ARGUMENTS)
    assert sum(call.error in misshapen for call in calls) < 0.1 * len(calls)
