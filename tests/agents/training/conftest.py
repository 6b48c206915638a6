"""A policy for the toy domain: a tokenizer and a small model, taught once for all tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from telegym.agents.prompting import ChatCodec, PromptProfile, call_text  # noqa: E402
from telegym.agents.training import nano  # noqa: E402
from telegym.agents.training.recipe import ShapeSettings  # noqa: E402
from telegym.agents.training.scoring import score_tokens  # noqa: E402
from telegym.agents.training.sft import batches, collate, demonstrate  # noqa: E402
from telegym.core.episode import Episode  # noqa: E402

from .toy import ToyEnvironment, demonstrator  # noqa: E402
from .toy_trainer import Policy  # noqa: E402

SHAPE = ShapeSettings(vocabulary=1900, layers=2, hidden=64, feed_forward=128, heads=4, head_size=16, context=1024)


@pytest.fixture(scope="session")
def environment() -> ToyEnvironment:
    return ToyEnvironment(400)


def teach(environment: ToyEnvironment, shape: ShapeSettings = SHAPE) -> Policy:
    """Make a model that knows the form of calls, and errs."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    texts = ["user\n", "assistant\n"]
    for task in environment.tasks[:40]:
        episode, act = Episode(environment, task), demonstrator(0.7)
        texts.append(task.ticket)
        while not episode.done:
            message = act(episode)
            texts += [call_text(message), *(f"\n{answer.content}\n" for answer in episode.step(message))]
    tokenizer = nano.train_tokenizer(texts, shape.vocabulary)
    codec = ChatCodec(tokenizer, PromptProfile(tools="none", policy="none"))
    model = nano.new_model(tokenizer, shape, seed=0)
    shown = [demonstrate(codec, Episode(environment, task), demonstrator(0.8), 600) for task in environment.tasks[:240]]
    optimizer = torch.optim.AdamW(nano.parameter_groups(model, tokenizer, 4e-3))
    for batch in batches([item for item in shown if item is not None], 2048, 6, seed=0):
        inputs = collate([batch])
        loss = -score_tokens(model, inputs["sequences"], inputs["masks"], tokens=inputs["tokens"]).logprobs.mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    torch.set_num_threads(threads)
    return Policy(model, tokenizer, codec)


@pytest.fixture(scope="session")
def taught(environment: ToyEnvironment) -> Policy:
    """A model that knows the form of calls, and errs."""
    return teach(environment)


@pytest.fixture
def policy(taught: Policy) -> Policy:
    """A fresh copy of the taught model."""
    model = type(taught.model)(taught.model.config)
    model.load_state_dict(taught.model.state_dict())
    model.generation_config = taught.model.generation_config
    return Policy(model, taught.tokenizer, taught.codec)


@pytest.fixture(scope="session")
def taught_folder(taught: Policy, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The taught model on disk."""
    folder = tmp_path_factory.mktemp("taught")
    nano.save(taught.model, taught.tokenizer, folder)
    return str(folder)


Factory = Callable[..., Any]
