"""Objectives of stages, against direct computations, and what recorded trajectories become."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.agents.generation import SampledTurn
from telegym.agents.prompting import ChatCodec, PromptProfile
from telegym.agents.training.recipe import Recipe
from telegym.agents.training.rollouts import Player
from telegym.agents.training.stages.distillation import Distillation, check_vocabulary, divergence, teacher_view
from telegym.agents.training.stages.forward import example_logits, learnt_logprobs, learnt_tokens
from telegym.agents.training.stages.imitation import Imitation
from telegym.agents.training.stages.items import Example, Pair
from telegym.agents.training.stages.plan import resolved
from telegym.agents.training.stages.preferences import (
    Preference,
    extremes,
    pair_losses,
    recorded_pairs,
    sequence_logprobs,
)
from telegym.agents.training.stages.recorded import Reader, examples_of
from telegym.agents.training.stages.settings import DistillationSettings, PreferenceSettings, TrajectoryFilter
from telegym.agents.training.stages.sources import mixed
from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError
from telegym.core.trajectory import Trajectory, TrajectoryWriter
from telegym.envs.registry import register_environment

from .toy import ToyEnvironment, demonstrator
from .toy_trainer import Policy


@pytest.fixture(scope="module", autouse=True)
def registered() -> None:
    register_environment("toy-units", "tests.agents.training.toy:ToyEnvironment")


def drawn(lengths: tuple[int, ...] = (12, 7, 10), seed: int = 0) -> list[Example]:
    """Return conversations of random tokens, about half of them to be learnt."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for length in lengths:
        ids = torch.randint(5, 1000, (length,), generator=generator).tolist()
        mask = [0, 0, 1, *torch.randint(0, 2, (length - 3,), generator=generator).tolist()]
        found.append(Example(ids, mask, [-1.0] * sum(mask), prompt=2))
    return found


@pytest.fixture(scope="module")
def other(taught: Policy) -> Any:
    """Another model with the same tokens."""
    generator = torch.Generator().manual_seed(1)
    model = type(taught.model)(taught.model.config)
    model.load_state_dict(taught.model.state_dict())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.01 * torch.randn(parameter.shape, generator=generator)
    return model


def descend(loss: torch.Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


def gradient(model: Any) -> torch.Tensor:
    """Return the gradients of all parameters, and forget them."""
    found = torch.cat([p.grad.flatten() if p.grad is not None else torch.zeros(p.numel()) for p in model.parameters()])
    model.zero_grad()
    return found


# --- distillation -------------------------------------------------------------------------------------


def logprobs(model: Any, examples: list[Example]) -> torch.Tensor:
    return torch.log_softmax(example_logits(model, examples).float(), -1)


@pytest.mark.parametrize("chunk", [3, 1000])
def test_the_full_divergence_is_that_over_the_whole_vocabulary(policy: Policy, other: Any, chunk: int) -> None:
    examples = drawn()
    found = Distillation(other, DistillationSettings(chunk=chunk)).loss(policy.model, examples)
    descend(found.total)
    mine = gradient(policy.model)
    own, theirs = logprobs(policy.model, examples), logprobs(other, examples).detach()
    direct = (own.exp() * (own - theirs)).sum()
    descend(direct)
    assert float(found.total.detach()) == pytest.approx(float(direct.detach()), rel=1e-4)
    assert found.figures["distillation/reverse_kl"] == pytest.approx(float(direct.detach()), rel=1e-4)
    torch.testing.assert_close(mine, gradient(policy.model), rtol=1e-3, atol=1e-5)
    assert other.get_input_embeddings().weight.grad is None


def test_the_sampled_estimate_has_the_gradient_of_the_reverse_divergence(policy: Policy, other: Any) -> None:
    """Meant over all tokens that might have been sampled, the policy gradient is the gradient of the divergence."""
    own = torch.log_softmax(torch.tensor([[0.3, -0.2, 0.9, 0.1]]), -1).requires_grad_()
    theirs = torch.log_softmax(torch.tensor([[1.0, 0.4, -0.5, 0.0]]), -1)
    objective = Distillation(other, DistillationSettings(estimator="sampled"))
    logits = own.detach().clone().requires_grad_()
    for token in range(4):
        drawn_at = own.detach()[0, token : token + 1]
        loss, estimate = objective._at(_same, _same, logits, theirs, torch.tensor([token]), drawn_at)
        assert float(estimate) == pytest.approx(float((own - theirs).detach()[0, token]), abs=1e-6)
        descend(loss * own.detach()[0, token].exp())
    direct = own.detach().clone().requires_grad_()
    normal = torch.log_softmax(direct, -1)
    descend((normal.exp() * (normal - theirs)).sum())
    assert logits.grad is not None and direct.grad is not None
    torch.testing.assert_close(logits.grad, direct.grad)


def _same(states: torch.Tensor) -> torch.Tensor:
    return states


def test_divergences_by_hand() -> None:
    own, theirs = torch.tensor([[0.75, 0.25]]).log(), torch.tensor([[0.5, 0.5]]).log()
    reverse = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    forward = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(2.0)
    middle = [0.25 * 0.5 + 0.75 * 0.75, 0.25 * 0.5 + 0.75 * 0.25]
    mix = 0.25 * sum(0.5 * math.log(0.5 / m) for m in middle)
    mix += 0.75 * sum(p * math.log(p / m) for p, m in zip((0.75, 0.25), middle, strict=True))
    assert float(divergence(own, theirs, "reverse")) == pytest.approx(reverse, abs=1e-6)
    assert float(divergence(own, theirs, "forward")) == pytest.approx(forward, abs=1e-6)
    assert float(divergence(own, theirs, "jensen_shannon", 0.25)) == pytest.approx(mix, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=3, max_size=3), st.lists(st.floats(-5, 5), min_size=3, max_size=3))
def test_divergences_are_none_of_equals_and_never_negative(first: list[float], second: list[float]) -> None:
    own, theirs = (torch.log_softmax(torch.tensor([logits]), -1) for logits in (first, second))
    for kind in ("reverse", "forward", "jensen_shannon"):
        assert float(divergence(own, theirs, kind)) >= -1e-6
        assert float(divergence(own, own, kind)) == pytest.approx(0.0, abs=1e-6)


def test_a_teacher_may_be_told_more() -> None:
    made = teacher_view(Example([1, 2, 3, 4], [0, 0, 1, 1], [], [7, 8, 9], 2))
    assert made == Example([7, 8, 9, 3, 4], [0, 0, 0, 1, 1])


def test_a_teacher_with_other_tokens_is_refused(taught: Policy) -> None:
    class Tokens:
        def get_vocab(self) -> dict[str, int]:
            return {**taught.tokenizer.get_vocab(), "extra": 5}

    check_vocabulary(taught.tokenizer, taught.tokenizer, "itself")
    with pytest.raises(ConfigurationError, match="teacher 'big' has other tokens than the policy: 'extra'"):
        check_vocabulary(taught.tokenizer, Tokens(), "big")


# --- imitation and preferences ------------------------------------------------------------------------


def test_imitation_is_the_negative_log_likelihood(taught: Policy) -> None:
    examples = drawn()
    expected = -logprobs(taught.model, examples).gather(-1, learnt_tokens(examples, torch.device("cpu"))[:, None]).sum()
    objective = Imitation()
    assert float(objective.loss(taught.model, examples).total.detach()) == pytest.approx(float(expected), rel=1e-5)
    assert sum(map(objective.weight, examples)) == len(learnt_logprobs(taught.model, examples))


def test_the_loss_of_dpo_by_hand(taught: Policy) -> None:
    chosen, rejected, third = drawn()
    pairs = [Pair(chosen, rejected, (-20.0, -9.0)), Pair(rejected, third, (-8.0, -30.0))]
    sums = {id(each): float(learnt_logprobs(taught.model, [each]).sum()) for each in (chosen, rejected, third)}
    assert sequence_logprobs(taught.model, [chosen, rejected, third], 15) == pytest.approx(
        list(sums.values()), rel=1e-4
    )

    def gain(pair: Pair) -> float:
        return sums[id(pair.chosen)] - pair.reference[0] - (sums[id(pair.rejected)] - pair.reference[1])

    def negative_log_sigmoid(value: float) -> float:
        return math.log1p(math.exp(-value))

    found = Preference(PreferenceSettings(beta=0.2)).loss(taught.model, pairs)
    assert float(found.total) == pytest.approx(sum(negative_log_sigmoid(0.2 * gain(pair)) for pair in pairs), rel=1e-4)
    assert found.figures["preferences/right"] == sum(gain(pair) > 0 for pair in pairs)
    assert found.figures["preferences/margin"] == pytest.approx(0.2 * sum(map(gain, pairs)), rel=1e-4)
    smooth = Preference(PreferenceSettings(beta=0.2, smoothing=0.1)).loss(taught.model, pairs)
    expected = sum(
        0.9 * negative_log_sigmoid(0.2 * gain(p)) + 0.1 * negative_log_sigmoid(-0.2 * gain(p)) for p in pairs
    )
    assert float(smooth.total) == pytest.approx(expected, rel=1e-4)
    ipo = Preference(PreferenceSettings(beta=0.2, loss="ipo", imitation=0.5)).loss(taught.model, pairs)
    expected = sum((gain(p) - 2.5) ** 2 - 0.5 * sums[id(p.chosen)] / p.chosen.learnt for p in pairs)
    assert float(ipo.total) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("changed", [{}, {"smoothing": 0.2}, {"loss": "ipo"}])
def test_the_gradient_of_dpo_by_finite_differences(changed: dict[str, Any]) -> None:
    chosen = PreferenceSettings(beta=0.3, **changed)
    gains = torch.tensor([-2.0, 0.1, 4.0], dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda values: pair_losses(values, chosen), (gains,))


def test_answers_do_not_count_in_a_pair(taught: Policy) -> None:
    """Only tokens that were sampled are learnt: the embedding of an answer's last token, which no sampled token
    follows, has no gradient."""
    pair = Pair(Example([5, 6, 7, 8], [0, 1, 1, 0]), Example([5, 9, 10, 11], [0, 1, 1, 0]))
    inputs = taught.model.get_input_embeddings()
    seen: list[torch.Tensor] = []
    hook = inputs.register_forward_hook(lambda module, args, output: seen.append(output.retain_grad() or output))
    descend(Preference(PreferenceSettings()).loss(taught.model, [pair]).total)
    hook.remove()
    taught.model.zero_grad()
    (embedded,) = seen
    assert embedded.grad is not None
    assert bool((embedded.grad[:, 2:].abs().sum(-1) == 0).all())
    assert bool((embedded.grad[:, :2].abs().sum(-1) > 0).all())


def test_pairs_are_made_of_extremes() -> None:
    group = [("a", 0.2), ("b", None), ("c", 0.9), ("d", 0.1), ("e", 0.8), ("f", 0.5)]
    assert extremes(group, 5, 0.3) == [("c", "d"), ("e", "a")]
    assert extremes(group, 1, 0.3) == [("c", "d")]
    assert extremes(group, 5, 0.7) == [("c", "d")]
    assert extremes(group, 5, 0.9) == []
    assert extremes([("a", 1.0)], 2, 0.1) == []


# --- recorded trajectories ----------------------------------------------------------------------------


def played(
    codec: ChatCodec, environment: ToyEnvironment, index: int, quality: float
) -> tuple[Trajectory, list[int], list[int]]:
    """Return a trajectory, and the tokens of the rollout that it records."""
    episode, act = Episode(environment, environment.tasks[index]), demonstrator(quality)
    player = Player(codec, [episode], 1000)
    while not episode.done:
        player.advance([SampledTurn(0, codec.turn(act(episode)), True)])
    (transcript,) = player.transcripts
    ids = transcript.prompt + transcript.completion
    return episode.trajectory("test"), ids, [0] * len(transcript.prompt) + transcript.mask


@pytest.mark.parametrize("profile", [PromptProfile(tools="none", policy="none"), PromptProfile()])
def test_a_recording_becomes_the_tokens_that_were_sampled(
    taught: Policy, environment: ToyEnvironment, profile: PromptProfile
) -> None:
    codec = ChatCodec(taught.tokenizer, profile)
    for index in range(6):
        trajectory, ids, mask = played(codec, environment, index, 0.6)
        read = Trajectory.from_json(trajectory.to_json())
        for raw in (False, True):
            found = Reader(codec, raw).example(read, 4000)
            assert found is not None
            assert (found.ids, found.mask) == (ids, mask)
        assert Reader(codec).example(read, len(ids) - 1) is None


def test_turns_with_failed_calls_can_stay_unlearnt(taught: Policy, environment: ToyEnvironment) -> None:
    recorded = (played(taught.codec, environment, index, 0.5) for index in range(40))
    trajectory, ids, mask = next(each for each in recorded if any(call.error for call in each[0].calls))
    found = Reader(taught.codec, failed_turns=False).example(trajectory, 1000)
    assert found is not None
    assert found.ids == ids
    failed = {call.turn for call in trajectory.calls if call.error}
    episode = Episode(environment, trajectory.task)
    own = 0
    for number, action in enumerate(trajectory.actions, start=1):
        assert isinstance(action, str)
        own += len(taught.codec.turn(action)) * (number not in failed)
    assert found.learnt == own < sum(mask)
    assert not episode.done


@pytest.fixture(scope="module")
def files(taught: Policy, environment: ToyEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trajectories, good and bad, two of each task."""
    folder = tmp_path_factory.mktemp("recorded")
    for quality in (1.0, 0.5):
        with TrajectoryWriter(folder / f"quality-{quality}.jsonl.gz") as writer:
            for index in range(20):
                writer.write(played(taught.codec, environment, index, quality)[0])
    return folder


def test_filters_choose(taught: Policy, files: Path) -> None:
    def chosen(**settings: Any) -> list[Example]:
        given = {"files": [str(files / "*.gz")], "distinct": False, **settings}
        return examples_of(taught.codec, TrajectoryFilter.model_validate(given), 1000)

    everything = chosen(success=False)
    good = chosen()
    assert len(everything) == 40
    assert 20 <= len(good) < 40
    assert len(chosen(files=[str(files / "quality-1.0.jsonl.gz")])) == 20
    assert chosen(success=False, least_value=1.0) == good
    assert len(chosen(success=False, most_errors=0)) == len(chosen(success=False, components={"careful": 1.0})) < 40
    assert chosen(success=False, components={"nothing": 0.0}) == []
    assert all(each in good for each in chosen(most_turns=3))
    assert len(chosen(per_task=1)) == 20
    assert len(chosen(distinct=True)) == len({tuple(each.ids) for each in good}) < len(good)
    shown = {"outcome": {"kind": "outcome"}, "format": {"kind": "format"}}
    combine = {"kind": "gate_product", "costs": {"format": 0.5}}
    rewards = {"rewards": shown, "combine": combine}
    assert len(chosen(success=False, rewards=rewards, least_reward=0.0)) == 40
    assert len(chosen(success=False, rewards=rewards, least_reward=0.5)) == len(good)
    with pytest.raises(ConfigurationError, match="no file of trajectories"):
        chosen(files=[str(files / "nothing.gz")])


def test_pairs_are_read_from_files(taught: Policy, files: Path) -> None:
    settings = PreferenceSettings(files=[str(files / "*.gz")], margin=0.5)
    pairs = recorded_pairs(taught.codec, settings, 1000)
    assert 0 < len(pairs) <= 20
    for chosen, rejected in pairs:
        assert chosen.ids[: chosen.prompt] == rejected.ids[: rejected.prompt]
        assert chosen.ids != rejected.ids
    with pytest.raises(ConfigurationError, match="no two of 40 trajectories"):
        recorded_pairs(taught.codec, settings.model_copy(update={"margin": 2.0}), 1000)


def test_sources_are_mixed_by_shares() -> None:
    pools = [[f"a{i}" for i in range(100)], [f"b{i}" for i in range(10)]]
    assert mixed(pools, [None, None], "s") == [*pools[0], *pools[1]]
    found = mixed(pools, [3.0, 1.0], "s")
    assert sum(item.startswith("a") for item in found) == 30
    assert sum(item.startswith("b") for item in found) == 10
    assert len(set(found)) == 40
    assert found == mixed(pools, [3.0, 1.0], "s") != mixed(pools, [3.0, 1.0], "t")
    with pytest.raises(ConfigurationError, match="either all sources have a share"):
        mixed(pools, [1.0, None], "s")


# --- chains -------------------------------------------------------------------------------------------


def chain(*stages: dict[str, Any], **settings: Any) -> Recipe:
    return Recipe.parse({"kind": "stages", "stages": list(stages), **settings}, "test")


def test_stages_are_the_recipe_with_settings_of_their_own() -> None:
    made = chain(
        {"kind": "sft", "sft": {"epochs": 2}},
        {"kind": "grpo", "seed": 4, "grpo": {"steps": 3, "trl": {"beta": 0.1}}},
        {
            "kind": "distillation",
            "name": "back",
            "distillation": {"teacher": "stage:grpo"},
            "model": {"name": "stage:sft"},
        },
        {"kind": "evaluation"},
        sft={"epochs": 1, "batch_tokens": 100},
        grpo={"steps": 9, "groups": 2, "trl": {"epsilon": 0.3}},
        evaluation={"sets": {"test": {"count": 3}}},
    )  # fmt: skip
    plans = made.plan()
    assert [plan.folder for plan in plans] == ["1-sft", "2-grpo", "3-back", "4-evaluation"]
    sft, grpo, back, evaluation = (plan.recipe for plan in plans)
    assert (sft.sft.epochs, sft.sft.batch_tokens, sft.seed) == (2, 100, 0)
    assert (grpo.grpo.steps, grpo.grpo.groups, grpo.grpo.trl, grpo.seed) == (3, 2, {"beta": 0.1}, 4)
    assert grpo.evaluation.sets == {}
    assert evaluation.evaluation.sets == made.evaluation.sets
    models = {"sft": "/runs/1", "grpo": "/runs/2"}
    assert resolved(plans[1], "/runs/1", models).model.name == "/runs/1"
    found = resolved(plans[2], "/runs/2", models)
    assert (found.model.name, found.distillation.teacher) == ("/runs/1", "/runs/2")
    assert back.kind == "distillation"
    assert Recipe.parse(made.model_dump(mode="json"), "again") == made


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([{"kind": "sfd"}], "stages.0.kind is 'sfd'; valid: grpo, sft, .* Did you mean 'sft'"),
        ([{"kind": "stages"}], "stages.0.kind is 'stages'; valid: grpo"),
        ([{"kind": "sft", "sft": {"epoch": 2}}], "stages.0: unknown key 'sft.epoch'.*Did you mean 'epochs'"),
        ([{"kind": "sft", "grop": {}}], "stages.0: unknown key 'grop'.*Did you mean 'grpo'"),
        ([{"kind": "sft"}, {"kind": "sft"}], "stages.1: there is a stage 'sft' already"),
        ([{"kind": "sft", "name": "A B"}], "stages.0.name is 'A B'"),
        ([{"kind": "sft"}, {"kind": "distillation", "distillation": {"teacher": "stage:stf"}}], "Did you mean 'sft'"),
        ([{"kind": "sft", "between": True}], "stages.0: a stage has no 'between' of its own"),
        ([], "`kind: stages` and a list of `stages` belong together"),
    ],
)  # fmt: skip
def test_wrong_stages_are_refused(stages: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        chain(*stages)
