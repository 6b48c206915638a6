"""How long training waits for tools that take their time, here and in TRL's own trainer: `telegym bench training`.

Both play the same dialogue with the same small model: in each of three turns, every one of 32 samples calls a tool that
takes 0.2 seconds, then the dialogue ends. What the model writes is given, so that nothing but waiting is measured.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, ClassVar, NamedTuple

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from telegym.agents.local import load_model, load_tokenizer
from telegym.agents.prompting import ChatCodec, PromptProfile
from telegym.agents.training.grpo import EpisodeGRPOTrainer, TaskRows, task_dataset
from telegym.agents.training.hands import Overlap
from telegym.core.environment import Environment
from telegym.core.episode import Episode, Limits
from telegym.core.messages import Message
from telegym.core.score import Score
from telegym.core.task import Task, TaskSet
from telegym.core.tool import Toolkit, tool
from telegym.core.world import World

__all__ = ["SAMPLES", "SECONDS", "TURNS", "waiting_here", "waiting_in_trl"]

SAMPLES = 32
"""Rollouts played together."""
TURNS = 3
"""Calls of each."""
SECONDS = 0.2
"""What a call takes."""

_CALL = '<tool_call>\n{"name": "look", "arguments": {}}\n</tool_call>'
_DONE = '<tool_call>\n{"name": "done", "arguments": {}}\n</tool_call>'


class _Nothing(World):
    """A world without a state."""

    def dump(self) -> dict[str, Any]:
        return {}

    def snapshot(self) -> None:
        return None

    def restore(self, snapshot: Any) -> None:
        return None

    def fork(self) -> _Nothing:
        return self


@tool
def look(world: _Nothing) -> str:
    """Look, which takes its time."""
    time.sleep(SECONDS)
    return "nothing"


@tool(kind="control")
def done(world: _Nothing) -> str:
    """Say that the work is done."""
    return "done"


class _Slow(Environment):
    """Tasks of looking."""

    id: ClassVar[str] = "slow"
    waits = True

    @property
    def options(self) -> dict[str, Any]:
        return {}

    @property
    def tasks(self) -> TaskSet:
        return TaskSet([Task(id="look", ticket="Look.")])

    @property
    def limits(self) -> Limits:
        return Limits()

    def toolkit(self, task: Task) -> Toolkit:
        return Toolkit([look, done])

    def build_world(self, task: Task, seed: int) -> World:
        return _Nothing()

    def instructions(self, task: Task) -> str:
        return "Look."

    def opening(self, task: Task) -> list[Message]:
        return [Message(role="user", content=task.ticket)]

    def score(self, episode: Episode) -> Score:
        return Score(value=float(len(episode.calls)))


class _Policy(NamedTuple):
    model: Any
    tokenizer: Any

    def turn(self, text: str) -> list[int]:
        return [*self.tokenizer.encode(text, add_special_tokens=False), self.tokenizer.eos_token_id]


@cache
def _template() -> str:
    """Return the template of Qwen3, which TRL knows how to read calls from."""
    from importlib.resources import files

    return files("trl").joinpath("chat_templates/qwen3.jinja").read_text("utf-8")


def _policy() -> _Policy:
    tokenizer = load_tokenizer("nano")
    tokenizer.chat_template = _template()
    return _Policy(load_model("nano"), tokenizer)


def _arguments(folder: str) -> GRPOConfig:
    return GRPOConfig(
        output_dir=folder,
        per_device_train_batch_size=SAMPLES,
        num_generations=8,
        max_completion_length=2000,
        max_steps=1,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
    )


def waiting_here() -> float:
    """Return the seconds in which a step's rollouts are played by this trainer, with a thread for each."""
    policy, environment = _policy(), _Slow()

    class Given(EpisodeGRPOTrainer):
        in_lock_step = True
        _generate_single_turn = _given(policy, _DONE)

    with tempfile.TemporaryDirectory() as folder:
        trainer = Given(
            rows=TaskRows(environment, environment.tasks, threads=SAMPLES),
            codec=ChatCodec(policy.tokenizer, PromptProfile(tools="none", policy="none")),
            turn_tokens=100,
            context=4096,
            overlap=Overlap(threads=SAMPLES),
            model=policy.model,
            args=_arguments(folder),
            processing_class=policy.tokenizer,
            train_dataset=task_dataset([(0, 0)] * 4),
        )
        inputs = [{"prompt": "look", "task": 0, "seed": row // 8} for row in range(SAMPLES)]
        return _timed(trainer, inputs)


def waiting_in_trl() -> float:
    """Return the seconds in which a step's rollouts are played by TRL's own trainer."""
    policy = _policy()

    class Given(GRPOTrainer):
        _generate_single_turn = _given(policy, "Done.")

    def look() -> str:
        """Look, which takes its time."""
        time.sleep(SECONDS)
        return "nothing"

    prompt = [{"role": "user", "content": "Look."}]
    with tempfile.TemporaryDirectory() as folder:
        trainer = Given(
            model=policy.model,
            reward_funcs=[lambda completions, **columns: [float(len(each)) for each in completions]],
            args=_arguments(folder),
            processing_class=policy.tokenizer,
            train_dataset=Dataset.from_list([{"prompt": prompt}] * 4),
            tools=[look],
        )
        return _timed(trainer, [{"prompt": [dict(prompt[0])]} for _ in range(SAMPLES)])


def _given(policy: _Policy, last: str) -> Callable[..., Any]:
    """Return a method that writes a call in each of the first turns, and then what ends the dialogue."""
    written = 0

    def single_turn(self: Any, prompts: Sequence[Any], *arguments: Any, **options: Any) -> tuple[list[list[int]], None]:
        nonlocal written
        written += 1
        return [policy.turn(_CALL if written <= TURNS else last) for _ in prompts], None

    return single_turn


def _timed(trainer: Any, inputs: list[dict[str, Any]]) -> float:
    logging.getLogger("telegym").setLevel(logging.ERROR)
    trainer.model.train()
    start = time.perf_counter()
    trainer._generate_and_score_completions(inputs)
    return time.perf_counter() - start
