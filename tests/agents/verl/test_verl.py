"""Episodes in verl: the same tokens as in the trainer, verl's own types, and failures that nothing is learnt from.

Where verl is not installed, stand-ins with its signatures take its place. `pip install verl==0.9.1` in an environment
of its own, and these tests run against the real classes; those that need more of verl are skipped without it.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from telegym.agents.generation import SampledTurn
from telegym.agents.prompting import ChatCodec, PromptProfile
from telegym.agents.training.rollouts import Player, Transcript
from telegym.agents.verl.reward import FIELD, compute_score
from telegym.agents.verl.tasks import episode_of, task_rows, write_tasks
from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError
from telegym.core.score import Score
from telegym.envs.registry import register_environment
from tests.agents.training.toy import ToyEnvironment, demonstrator
from tests.vllm.model import write_model

from . import stand_in

REAL = importlib.util.find_spec("verl") is not None
needs_verl = pytest.mark.skipif(not REAL, reason="verl is not installed")


class Settings(SimpleNamespace):
    """Settings as verl gives them: fields, and `get`."""

    def get(self, name: str, default: Any = None) -> Any:
        return getattr(self, name, default)


@pytest.fixture(scope="module", autouse=True)
def registered() -> None:
    register_environment("toy-units", "tests.agents.training.toy:ToyEnvironment")


@pytest.fixture(scope="module")
def verl_modules() -> Iterator[Any]:
    """The modules of TeleGym that import verl."""
    with pytest.MonkeyPatch.context() as patch:
        if not REAL:
            stand_in.install(patch)
        names = ("telegym.agents.verl.loop", "telegym.agents.verl.advantage")
        yield SimpleNamespace(**{name.rpartition(".")[2]: importlib.import_module(name) for name in names})
        for name in names:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("model")
    write_model(folder, [task.ticket for task in ToyEnvironment(20).tasks], 2048)
    return AutoTokenizer.from_pretrained(folder)


class Server:
    """Answers as the demonstrator would, in tokens that the tokenizer would not choose."""

    def __init__(self, codec: ChatCodec, twin: Episode, fails: int = 0) -> None:
        self.codec, self.twin, self.fails = codec, twin, fails
        self.asked: list[tuple[list[int], dict[str, Any]]] = []
        self.act = demonstrator(1.0)

    async def generate(
        self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any], **_: Any
    ) -> Any:
        if self.fails:
            self.fails -= 1
            return SimpleNamespace(token_ids=[], log_probs=None, stop_reason="aborted", extra_fields={})
        self.asked.append((list(prompt_ids), sampling_params))
        message = self.act(self.twin)
        self.twin.step(message)
        ids = self.unusual(message)[: sampling_params["max_tokens"]]
        told = {"min_global_steps": len(self.asked), "max_global_steps": len(self.asked)}
        return SimpleNamespace(
            token_ids=ids, log_probs=[-0.25] * len(ids), stop_reason="completed", num_preempted=1, extra_fields=told
        )

    def unusual(self, message: Any) -> list[int]:
        """Return the tokens of a message letter by letter."""
        *text, end = self.codec.turn(message)
        letters = [self.codec.tokenizer.encode(letter, add_special_tokens=False) for letter in self.codec.text(text)]
        return [*(token for group in letters for token in group), end]


Make = Callable[..., tuple[Any, Server, dict[str, Any]]]


@pytest.fixture
def make(verl_modules: Any, tokenizer: Any) -> Make:
    """Makes an agent loop, its server and its row."""

    def made(
        row: int = 0, fails: int = 0, environment: Any = None, rollout: Any = None, **options: Any
    ) -> tuple[Any, Server, dict[str, Any]]:
        chosen = environment or {"tasks": 8}
        extra_info = task_rows("toy-units", chosen)[row]["extra_info"]
        rollout_config = Settings(**{"prompt_length": 800, "response_length": 600, **(rollout or {})})
        config = Settings(actor_rollout_ref=Settings(rollout=rollout_config))
        server = Server(ChatCodec(tokenizer, PromptProfile()), episode_of(extra_info), fails)
        loop = verl_modules.loop.EpisodeAgentLoop(
            Settings(config=config),
            server,
            tokenizer,
            None,
            None,
            Settings(config=Settings()),
            options=options,
        )
        return loop, server, extra_info

    return made


def run(loop: Any, extra_info: dict[str, Any], **sampling: Any) -> Any:
    return asyncio.run(loop.run({"temperature": 1.0, "logprobs": True, **sampling}, extra_info=extra_info, index=3))


def transcript_of(server: Server, extra_info: dict[str, Any], completion_tokens: int = 600) -> Transcript:
    """Return what TeleGym's own trainer would make of the same turns."""
    codec = server.codec
    player = Player(codec, [episode_of(extra_info)], completion_tokens)
    twin, act, over = episode_of(extra_info), demonstrator(1.0), False
    while not over:
        message = act(twin)
        twin.step(message)
        ids = server.unusual(message)
        over = player.advance([SampledTurn(0, ids, True, [-0.25] * len(ids))])[0] is None
    return player.transcripts[0]


def test_an_episode_has_the_tokens_it_has_in_the_trainer(make: Make) -> None:
    loop, server, extra_info = make()
    output = run(loop, extra_info)
    expected = transcript_of(server, extra_info)
    assert output.prompt_ids == expected.prompt
    assert output.response_ids == expected.completion
    assert output.response_mask == expected.mask
    assert output.response_logprobs == expected.logprobs
    assert 0 < sum(output.response_mask) < len(output.response_mask)
    whole = output.prompt_ids + output.response_ids
    assert [history for history, _ in server.asked] == [whole[: len(history)] for history, _ in server.asked]
    assert len(server.asked) == 3
    assert output.reward_score == 1.0
    assert output.num_turns == 1 + 3 + 3
    assert output.metrics.num_preempted == 3
    assert output.extra_fields["min_global_steps"] == 1
    assert output.extra_fields["max_global_steps"] == 3
    info = output.extra_fields["reward_extra_info"]
    assert info == {"success": 1.0, "failed": 0.0, "truncated": 0.0, "turns": 3.0, "call_errors": 0.0}
    assert all(params["stop_token_ids"] == list(server.codec.stop_ids) for _, params in server.asked)


def test_without_log_probabilities_there_are_none(make: Make) -> None:
    loop, server, extra_info = make()
    inner = server.generate

    async def silent(*arguments: Any, **options: Any) -> Any:
        answer = await inner(*arguments, **options)
        answer.log_probs = None
        return answer

    server.generate = silent  # type: ignore[method-assign]
    assert run(loop, extra_info).response_logprobs is None


def test_what_is_too_long_is_cut_off_and_said(make: Make) -> None:
    loop, server, extra_info = make(rollout={"response_length": 150})
    output = run(loop, extra_info)
    assert len(output.response_ids) <= 150
    assert output.response_ids == transcript_of(server, extra_info, 150).completion
    assert output.extra_fields["reward_extra_info"]["truncated"] == 1.0
    assert output.reward_score == 0.0
    short, _, extra_info = make(rollout={"prompt_length": 8})
    with pytest.raises(ConfigurationError, match=r"the prompt of task 'toy-0' has \d+ tokens, more than the 8"):
        run(short, extra_info)


def test_components_can_be_rewarded_and_logged(make: Make) -> None:
    loop, _, extra_info = make(reward={"value": 1.0, "careful": 0.5}, components=["careful", "absent"])
    output = run(loop, extra_info)
    assert output.reward_score == 1.5
    info = output.extra_fields["reward_extra_info"]
    assert info["component/careful"] == 1.0
    assert info["component/absent"] != info["component/absent"]


def test_a_failure_is_played_again_and_then_nothing_is_learnt_from_it(make: Make) -> None:
    loop, server, extra_info = make(fails=1)
    assert run(loop, extra_info).reward_score == 1.0
    assert server.fails == 0
    loop, _, extra_info = make(fails=2)
    output = run(loop, extra_info)
    assert output.response_mask == [0]
    assert len(output.response_ids) == 1
    assert output.extra_fields["reward_extra_info"]["failed"] == 1.0
    handed = Score.model_validate_json(output.extra_fields[FIELD])
    assert handed.failure is not None
    assert "aborted" in handed.failure.message
    judged, _, extra_info = make(row=3, environment={"tasks": 8, "broken": True}, retries=0)
    assert run(judged, extra_info).response_mask == [0]


def test_a_reward_function_of_verl_can_decide(make: Make) -> None:
    loop, _, extra_info = make(defer=True)
    output = run(loop, extra_info)
    assert output.reward_score is None
    arguments = ("telegym/toy-units", "", "toy-0")
    handed = {**extra_info, **output.extra_fields}
    assert compute_score(*arguments, extra_info=handed) == {"score": 1.0, "failed": 0.0}
    assert compute_score(*arguments, extra_info=handed, weights={"fixed": 0.25})["score"] == 0.25
    with pytest.raises(ConfigurationError, match="task 'toy-0' has no score"):
        compute_score(*arguments, extra_info=extra_info)


def test_unknown_options_are_named(make: Make) -> None:
    with pytest.raises(ConfigurationError, match=r"no option 'turn_token'; valid: .*Did you mean 'turn_tokens'"):
        make(turn_token=3)


def test_a_group_plays_the_same_world(tmp_path: Path) -> None:
    rows = task_rows("toy-units", {"tasks": 5}, count=12, seed=1)
    assert [row["extra_info"]["index"] for row in rows] == list(range(12))
    assert {row["extra_info"]["task"] for row in rows} == {f"toy-{number}" for number in range(5)}
    assert rows == task_rows("toy-units", {"tasks": 5}, count=12, seed=1)
    assert rows != task_rows("toy-units", {"tasks": 5}, count=12, seed=2)
    one, other = episode_of(rows[0]["extra_info"]), episode_of(rows[0]["extra_info"])
    assert one.world.dump() == other.world.dump()
    assert one.environment is other.environment
    for name in ("tasks.parquet", "tasks.jsonl"):
        write_tasks(tmp_path / name, rows)
    from datasets import Dataset

    assert Dataset.from_parquet(str(tmp_path / "tasks.parquet"), cache_dir=str(tmp_path)).to_list() == rows
    assert [json.loads(line) for line in (tmp_path / "tasks.jsonl").read_text().splitlines()] == rows
    with pytest.raises(ConfigurationError, match=r"not as 'tasks\.csv'"):
        write_tasks(tmp_path / "tasks.csv", rows)


def test_rows_of_others_are_refused() -> None:
    good = task_rows("toy-units", {"tasks": 5})[0]["extra_info"]
    with pytest.raises(ConfigurationError, match="has no 'seed'"):
        episode_of({key: value for key, value in good.items() if key != "seed"})
    with pytest.raises(ConfigurationError, match=r"no task 'toy-9'\. Did you mean 'toy-"):
        episode_of({**good, "task": "toy-9"})


def test_failures_are_in_no_mean(verl_modules: Any) -> None:
    rewards = torch.tensor([[0.0, 1.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    mask = torch.tensor([[1, 1], [1, 0], [0, 0], [1, 1], [1, 1]])
    advantages, returns = verl_modules.advantage.advantages_without_failures(
        token_level_rewards=rewards, response_mask=mask, index=["a", "a", "a", "b", "c"], config=None
    )
    deviation = 0.5**0.5 + 1e-6
    expected = [[0.5 / deviation] * 2, [-0.5 / deviation, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    assert torch.allclose(advantages, torch.tensor(expected))
    assert torch.equal(advantages, returns)
    plain, _ = verl_modules.advantage.advantages_without_failures(
        rewards, mask, ["a", "a", "a", "b", "c"], {"norm_adv_by_std_in_grpo": False}
    )
    assert plain[:2].tolist() == [[0.5, 0.5], [-0.5, 0.0]]


@needs_verl
def test_without_failures_it_is_verls_own_advantage(verl_modules: Any) -> None:
    from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage, get_adv_estimator_fn

    torch.manual_seed(0)
    rewards, mask = torch.rand(8, 5), torch.ones(8, 5)
    index = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]).numpy()
    own = get_adv_estimator_fn("telegym_grpo")(rewards.clone(), mask, index=index, config=None)[0]
    assert torch.allclose(own, compute_grpo_outcome_advantage(rewards.clone(), mask, index)[0], atol=1e-6)


@needs_verl
def test_verl_makes_a_batch_of_what_was_played(make: Make, tokenizer: Any) -> None:
    import numpy
    from verl.experimental.agent_loop.agent_loop import AgentLoopWorker

    worker = AgentLoopWorker.__new__(AgentLoopWorker)
    worker.rollout_config = Settings(prompt_length=800, response_length=600)
    worker.tokenizer, worker.processor = tokenizer, None
    worker.distillation_enabled, worker.reward_loop_worker_handles, worker.mm_processor_kwargs = False, None, {}
    outputs = []
    for row, fails in ((0, 0), (1, 2)):
        loop, _, extra_info = make(row=row, fails=fails)
        outputs.append(run(loop, extra_info))
        if fails:
            outputs[-1].response_logprobs = [0.0]

    async def padded() -> list[Any]:
        return [await worker._agent_loop_postprocess(output, False, raw_prompt=[]) for output in outputs]

    batch = worker._postprocess(asyncio.run(padded()), {"uid": numpy.array(["a", "a"], dtype=object)})
    for row, output in enumerate(outputs):
        length = len(output.response_ids)
        assert batch.batch["responses"][row, :length].tolist() == output.response_ids
        assert batch.batch["response_mask"][row, :length].tolist() == output.response_mask
        assert batch.batch["response_mask"][row, length:].sum() == 0
    assert batch.batch["rm_scores"].sum(-1).tolist() == [1.0, 0.0]
    assert batch.non_tensor_batch["failed"].tolist() == [0.0, 1.0]


@needs_verl
def test_verl_reads_the_rows_and_the_configuration(tmp_path: Path, tokenizer: Any, verl_modules: Any) -> None:
    import hydra
    from omegaconf import OmegaConf
    from verl.experimental.agent_loop.agent_loop import DictConfigWrap, ToolListWrap
    from verl.utils.dataset.rl_dataset import RLHFDataset

    from telegym.agents.training.launch import write_launch

    write_tasks(tmp_path / "train.parquet", task_rows("toy-units", {"tasks": 4}))
    written = write_launch("verl", tmp_path)
    with hydra.initialize_config_dir(str(tmp_path), version_base=None):
        config = hydra.compose("verl-grpo")
    assert config.algorithm.adv_estimator == "telegym_grpo"
    OmegaConf.set_struct(config, False)
    config.data.cache_dir = str(tmp_path)
    rows = RLHFDataset(str(tmp_path / "train.parquet"), tokenizer, config.data)
    assert rows[0]["agent_name"] == "telegym"
    (entry,) = OmegaConf.load(next(path for path in written if path.name == "verl-agent-loop.yaml"))
    assert entry.name == config.actor_rollout_ref.rollout.agent.default_agent_loop
    loop = hydra.utils.instantiate(
        entry,
        trainer_config=DictConfigWrap(config),
        server_manager=None,
        tokenizer=tokenizer,
        processor=None,
        hf_model_type=None,
        dataset_cls=RLHFDataset,
        data_config=DictConfigWrap(config.data),
        tools=ToolListWrap([]),
    )
    assert type(loop) is verl_modules.loop.EpisodeAgentLoop
    assert loop.options["prompt"]["tools"] == "full"
