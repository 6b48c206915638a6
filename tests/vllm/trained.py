"""What the tests of training with vLLM run in its environment: `python trained.py CASE MODEL FOLDER [ADDRESS]`."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("ACCELERATE_USE_CPU", "true")

import torch

from telegym.agents.training.grpo import EpisodeGRPOTrainer
from telegym.agents.training.ranks import process_index
from tests.agents.training import ranked

STEPS = 4


def trainer_of(model: str, folder: Path, **options: Any) -> EpisodeGRPOTrainer:
    """Return a trainer with a learning rate at which weights that are not in step would show."""
    return ranked.trainer_of(model, folder, max_steps=STEPS, **options)


def rows_of(trainer: EpisodeGRPOTrainer) -> list[dict[str, Any]]:
    """Return what was logged for each step."""
    return [row for row in trainer.state.log_history if "loss" in row]


def write(folder: Path, name: str, found: dict[str, Any]) -> None:
    """Write what was found, in the first process."""
    if process_index() == 0:
        (folder / f"{name}.json").write_text(json.dumps(found))


def stale(trainer: EpisodeGRPOTrainer) -> dict[str, float]:
    """Return the difference of log-probabilities with weights that vLLM was not told of."""
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    trainer._last_loaded_step = trainer.state.global_step
    trainer._metrics["train"].clear()
    trainer.model.train()
    trainer._generate_and_score_completions(list(trainer._inputs))
    return {name: values[-1] for name, values in trainer._metrics["train"].items() if name.startswith("vllm/")}


def colocate(model: str, folder: Path) -> None:
    """vLLM in the trainer's process."""
    from tests.vllm.reloading import prepare_colocation

    prepare_colocation()
    trainer = trainer_of(model, folder, use_vllm=True, vllm_mode="colocate", vllm_max_model_length=1024)
    trainer.train()
    cache = trainer.vllm_generation.llm.llm_engine.vllm_config.cache_config
    found = {"rows": rows_of(trainer), "prefix_caching": cache.enable_prefix_caching}
    if trainer.accelerator.num_processes == 1:
        found["cached"] = _cached(trainer)
        found["stale"] = stale(trainer)
    write(folder, f"colocate-{trainer.accelerator.num_processes}", found)


def _cached(trainer: EpisodeGRPOTrainer) -> int:
    """Return how many tokens of a conversation vLLM did not have to read again for its second turn."""
    from vllm import SamplingParams

    prompt = list(range(40, 240))
    params = SamplingParams(max_tokens=4, temperature=0.0)
    llm = trainer.vllm_generation.llm
    llm.generate([{"prompt_token_ids": prompt}], params, use_tqdm=False)
    (again,) = llm.generate([{"prompt_token_ids": [*prompt, 41, 42, 43]}], params, use_tqdm=False)
    return int(again.num_cached_tokens)


def transformers(model: str, folder: Path) -> None:
    """The same training without vLLM, in both ways of generating: with the cache of turns, and TRL's own."""

    found = {}
    for name, kind in (("own", EpisodeGRPOTrainer), ("trl", ranked.TurnByTurn)):
        trainer = trainer_of(model, folder, kind=kind)
        trainer.train()
        found[name] = rows_of(trainer)
    write(folder, "transformers", found)


def server(model: str, folder: Path, address: str) -> None:
    """vLLM as a server, which gets new weights after every step."""
    from tests.vllm.reloading import prepare_server

    prepare_server()
    options = {"use_vllm": True, "vllm_mode": "server", "vllm_server_base_url": address}
    trainer = trainer_of(model, folder, **options)
    trainer.train()
    write(folder, f"server-{trainer.accelerator.num_processes}", {"rows": rows_of(trainer)})


def dead(model: str, folder: Path, address: str) -> None:
    """A server that is not there, or ends in the middle (the test ends it between the files `ready` and `ended`)."""
    from telegym.core.errors import InfrastructureError
    from tests.vllm.reloading import prepare_server

    prepare_server()
    options = {"use_vllm": True, "vllm_mode": "server", "vllm_server_timeout": 1.0}
    said = []
    try:
        trainer_of(model, folder, **options, vllm_server_base_url="http://127.0.0.1:9")
    except InfrastructureError as error:
        said.append(str(error))
    trainer = trainer_of(model, folder, **options, vllm_server_base_url=address)
    (folder / "ready").touch()
    while not (folder / "ended").exists():
        time.sleep(0.1)
    try:
        trainer.train()
    except InfrastructureError as error:
        said.append(str(error))
    write(folder, "dead", {"said": said})


if __name__ == "__main__":
    torch.set_num_threads(1)
    cases: dict[str, Callable[..., None]] = {case.__name__: case for case in (colocate, transformers, server, dead)}
    cases[sys.argv[1]](sys.argv[2], Path(sys.argv[3]), *sys.argv[4:])
