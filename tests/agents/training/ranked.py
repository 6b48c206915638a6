"""What the tests of several processes run in each of them: `python ranked.py CASE MODEL FOLDER`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("ACCELERATE_USE_CPU", "true")

import torch

from telegym.agents.local import load_model, load_tokenizer
from telegym.agents.prompting import ChatCodec, PromptProfile
from telegym.agents.training.grpo import EpisodeGRPOTrainer, TaskRows
from telegym.agents.training.ranks import any_of, decided, joint_means, process_index, together
from telegym.agents.training.run import train
from telegym.agents.training.vllm import GuardedClient
from telegym.core.episode import Episode
from telegym.core.errors import InfrastructureError
from telegym.envs.registry import register_environment
from tests.agents.training.toy import ToyEnvironment
from tests.agents.training.toy_trainer import Policy, make_trainer

STEPS = 2


def trainer_of(
    model: str, folder: Path, kind: type[EpisodeGRPOTrainer] = EpisodeGRPOTrainer, **options: Any
) -> EpisodeGRPOTrainer:
    """Return a trainer of 16 rollouts a step, over all processes."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    tokenizer = load_tokenizer(model)
    codec = ChatCodec(tokenizer, PromptProfile(tools="none", policy="none"))
    policy = Policy(load_model(model, dtype=torch.float32), tokenizer, codec)
    settings = {"per_device_train_batch_size": 16 // world, "max_completion_length": 200, "max_steps": STEPS}
    return make_trainer(policy, ToyEnvironment(64), folder, kind, **{**settings, **options})


def metrics(model: str, folder: Path) -> None:
    """Train, and write what was logged and the weights."""
    trainer = trainer_of(model, folder)
    trainer.train()
    if process_index() == 0:
        (folder / "log.json").write_text(json.dumps(trainer.state.log_history))
        weights = trainer.accelerator.unwrap_model(trainer.model).state_dict()
        torch.save({name: value.clone() for name, value in weights.items()}, folder / "weights.pt")


class Echo:
    """A vLLM server that answers each prompt with its length, and ends turns when it likes."""

    def __init__(self, tokenizer: Any, dies_at: int | None = None) -> None:
        self.base_url = "http://echo:8000"
        self.tokenizer = tokenizer
        self.asked: list[int] = []
        self.dies_at = dies_at

    def update_named_params(self, metadata: Any, parameters: Any) -> None:
        for _ in parameters:
            pass

    def reset_prefix_cache(self) -> None:
        pass

    def generate(self, prompts: Sequence[list[int]], n: int = 1, **_: Any) -> dict[str, Any]:
        if len(self.asked) == self.dies_at:
            raise ConnectionError("connection refused")
        self.asked.append(len(prompts))
        answers = [[*self.tokenizer.encode(str(sum(ids))), self.tokenizer.eos_token_id] for ids in prompts]
        logprobs = [[[-0.5] for _ in answer] for answer in answers]
        return {"prompt_ids": list(prompts), "completion_ids": answers, "logprobs": logprobs}


def behind_a_server(trainer: EpisodeGRPOTrainer, client: Echo) -> None:
    """Let a trainer generate through TRL's own server mode, with a client that answers at once."""
    from trl.generation.vllm_generation import VLLMGeneration

    made = VLLMGeneration.__new__(VLLMGeneration)
    for name in ("images", "structured_outputs_regex", "min_p"):
        setattr(made, name, None)
    made.model, made.accelerator, made._dist = trainer.model, trainer.accelerator, trainer._dist
    made.mode, made.enable_sleep_mode, made.generation_kwargs, made.logprobs = "server", False, {}, 0
    made.temperature = made.top_p = made.repetition_penalty = 1.0
    made.top_k, made.max_completion_length, made._weight_metadata = 0, 40, None
    if trainer.accelerator.is_main_process:
        made.vllm_client = GuardedClient(client)
    trainer.use_vllm, trainer.vllm_mode, trainer.vllm_generation, trainer._last_loaded_step = True, "server", made, -1


class Counted(Episode):
    """Answers each turn with the turn's text, for a given number of turns."""

    turns_left = 0
    heard: list[str]

    def step(self, action: Any) -> Any:
        from telegym.core.messages import Message

        self.heard.append(str(action))
        self.turns_left -= 1
        if not self.turns_left:
            self._ended = True
        return [Message(role="user", content=f"go on {self.turns_left}")]

    @property
    def done(self) -> bool:
        return getattr(self, "_ended", False)


def counted(environment: ToyEnvironment, number: int, turns: int) -> Counted:
    """Return an episode that lasts so many turns."""
    episode = Counted(environment, environment.tasks[number], seed=number, record=False)
    episode.turns_left, episode.heard = turns, []
    return episode


def aligned(model: str, folder: Path) -> None:
    """Play uneven numbers of episodes of uneven lengths; every answer must be the one to the episode's own prompt."""
    lengths: dict[int, list[list[int]]] = {
        0: [[1, 2, 3], [1, 1, 1], [], [4]],
        1: [[5, 1, 2, 7, 3], [6, 1], [2, 2], [1, 1]],
    }
    trainer = trainer_of(model, folder)
    client = Echo(trainer.processing_class)
    behind_a_server(trainer, client)
    environment = ToyEnvironment(64)
    for case in lengths[process_index()]:
        episodes = [counted(environment, 8 * process_index() + place, turns) for place, turns in enumerate(case)]
        played = trainer.play_in_lock_step(episodes)
        for transcript, episode, turns in zip(played, episodes, case, strict=True):
            assert len(episode.heard) == turns
            whole = transcript.prompt + transcript.completion
            for (start, end), heard in zip(transcript.turns, episode.heard, strict=True):
                before = whole[: len(transcript.prompt) + start]
                assert heard == str(sum(before)), (process_index(), heard)
                assert set(transcript.logprobs[start:end]) == {-0.5}
                assert set(transcript.mask[start:end]) == {1}
            assert all(not value for value, mask in zip(transcript.logprobs, transcript.mask, strict=True) if not mask)
    (folder / f"aligned-{process_index()}.json").write_text(json.dumps(client.asked))


def dying(model: str, folder: Path) -> None:
    """A server that fails in the second turn ends every process, with the reason."""
    trainer = trainer_of(model, folder)
    behind_a_server(trainer, Echo(trainer.processing_class, dies_at=1))
    environment = ToyEnvironment(64)
    try:
        trainer.play_in_lock_step([counted(environment, place, 3) for place in range(2 + process_index())])
    except InfrastructureError as error:
        (folder / f"dying-{process_index()}.txt").write_text(str(error))


class TurnByTurn(EpisodeGRPOTrainer):
    """Generates through TRL, as with weights that no process has as a whole."""

    in_lock_step = True


def _allow_sharding_on_cpu() -> None:
    """Let accelerate shard on CPUs, which torch can do and accelerate does not offer."""
    from accelerate import PartialState
    from accelerate.utils import DistributedType

    inner = PartialState.__init__

    def patched(self: Any, *arguments: Any, **options: Any) -> None:
        inner(self, *arguments, **options)
        if self._shared_state["distributed_type"] is DistributedType.MULTI_CPU:
            self._shared_state["distributed_type"] = DistributedType.MULTI_GPU

    PartialState.__init__ = patched


def sharded(model: str, folder: Path) -> None:
    """Train with weights that are shared out (FSDP2), as the environment of the launcher says."""
    _allow_sharding_on_cpu()
    trainer = trainer_of(model, folder)
    assert trainer.in_lock_step
    trainer.train()
    parts = [parameter.to_local().numel() for parameter in trainer.model.parameters()]
    whole = [parameter.numel() for parameter in trainer.model.parameters()]
    assert sum(parts) < 0.6 * sum(whole), "the weights are not shared out"
    trainer.save_model(str(folder / "model"))
    if process_index() == 0:
        (folder / "log.json").write_text(json.dumps(trainer.state.log_history))


def lock_step(model: str, folder: Path) -> None:
    """Real generation, turn by turn: one process has nothing to play, or is done at once, and still takes part."""
    trainer = trainer_of(model, folder, TurnByTurn)
    environment = ToyEnvironment(64)
    counts = {0: [3, 0, 1], 1: [0, 2, 4]}[process_index()]
    for count in counts:
        episodes = [Episode(environment, task, seed=1, record=False) for task in environment.tasks[:count]]
        played = trainer.play_in_lock_step(episodes)
        assert len(played) == count
        assert all(item.episode.done and item.sampled for item in played)
    (folder / f"lock-step-{process_index()}.txt").write_text("ok")


def raising(model: str, folder: Path) -> None:
    """The world of one process breaks in the middle of a step."""

    class Broken(Episode):
        def step(self, action: Any) -> Any:
            raise InfrastructureError("the simulator is gone")

    class Breaking(TaskRows):
        def episodes(self, rows: Any) -> list[Episode]:
            made = super().episodes(rows)
            if process_index() == 1:
                made[1] = Broken(environment, made[1].task, seed=0, record=False)
            return made

    trainer = trainer_of(model, folder)
    environment = ToyEnvironment(64)
    trainer._rows = Breaking(environment, environment.tasks)
    trainer.train()


def helpers(model: str, folder: Path) -> None:
    """What processes agree on."""
    index = process_index()
    assert decided(lambda: f"first is {index}") == "first is 0"
    assert any_of(index == 1)
    assert not any_of(False)
    means = joint_means({"both": [1.0, 2.0] if index else [6.0], f"own-{index}": [float(index)], "none": []})
    assert means == {"both": 3.0, "own-0": 0.0, "own-1": 1.0}, means
    try:
        with together("counting"):
            if index == 1:
                raise ValueError("lost count")
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    expected = "InfrastructureError: process 1 of 2 failed while counting: ValueError: lost count"
    assert said == (expected if index == 0 else "ValueError: lost count"), said
    try:
        decided(lambda: 1 // 0)
    except ZeroDivisionError:
        (folder / f"helpers-{index}.txt").write_text("ok")


def run(model: str, folder: Path) -> None:
    """A whole run: evaluations, checkpoints, report."""
    register_environment("toy-units", "tests.agents.training.toy:ToyEnvironment")
    train(str(folder / "toy.yaml"), name="run", runs=folder, resume=(folder / "resume").exists())


CASES: dict[str, Callable[[str, Path], None]] = {
    case.__name__: case for case in (metrics, aligned, dying, lock_step, sharded, raising, helpers, run)
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1].split(","):
        CASES[name](sys.argv[2], Path(sys.argv[3]))
