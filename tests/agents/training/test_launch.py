"""What is shipped to start trainings on many GPUs is read by the programs it is for."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from telegym.agents.training.launch import LAUNCHES, launch_files, write_launch
from telegym.agents.training.recipe import load_recipe
from telegym.core.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", LAUNCHES)
def test_files_are_written_once(name: str, tmp_path: Path) -> None:
    written = write_launch(name, tmp_path / "new")
    assert {path.name: path.read_text() for path in written} == launch_files(name)
    with pytest.raises(ConfigurationError, match="there already: "):
        write_launch(name, tmp_path / "new")
    written[0].write_text("edited")
    write_launch(name, tmp_path / "new", replace=True)
    assert written[0].read_text() != "edited"


def test_an_unknown_name_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"no launch configuration 'slrm'.*Did you mean 'slurm'"):
        launch_files("slrm")


ACCELERATE = {"ddp": "MULTI_GPU", "fsdp2": "FSDP", "zero3": "DEEPSPEED"}


@pytest.mark.parametrize(("name", "kind"), ACCELERATE.items())
def test_accelerate_reads_its_configurations(name: str, kind: str, tmp_path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    (file,) = write_launch(name, tmp_path)
    config = load_config_from_file(str(file))
    assert config.distributed_type == kind
    assert config.num_processes == 8
    parsed = launch_command_parser().parse_args(["--config_file", str(file), "-m", "telegym", "train"])
    arguments, *_ = _validate_launch_command(parsed)
    assert arguments.mixed_precision == "bf16"
    assert (arguments.use_fsdp, arguments.use_deepspeed) == (name == "fsdp2", name == "zero3")
    assert (arguments.module, arguments.training_script) == (True, "telegym")
    if name == "fsdp2":
        assert arguments.fsdp_version == 2
        assert arguments.fsdp_activation_checkpointing is True
    if name == "zero3":
        assert int(arguments.zero_stage) == 3


def settings_in(text: str) -> list[str]:
    """Return the overrides in a script."""
    found = re.findall(r"""--set (?:"([^"]+)"|(\S+))""", text)
    return [(one or other).rstrip(")\"'") for one, other in found]


@pytest.mark.parametrize("name", LAUNCHES)
def test_the_overrides_they_use_exist(name: str) -> None:
    values = {"$LEARNING_RATE": "1e-6", "$SERVER": "node", "$ADAPTER": "32", "$((2 * ADAPTER))": "64"}
    for file, text in launch_files(name).items():
        overrides = settings_in(text)
        for variable, value in values.items():
            overrides = [override.replace(variable, value) for override in overrides]
        if file == "kubernetes.yaml":
            overrides = [override.replace("adapter=32", "adapter={rank: 32, alpha: 64}") for override in overrides]
        assert overrides or name == "ddp" or file.startswith("verl-") or file == "accelerate-ddp.yaml"
        load_recipe("qwen3-8b", overrides)


def test_the_slurm_script_starts_a_server_and_the_trainers(tmp_path: Path) -> None:
    """Run with stand-ins for the cluster's programs, which note what they were asked to do."""
    script = write_launch("slurm", tmp_path)[0]
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
    for program, body in {
        "scontrol": "printf 'node0\\nnode1\\nnode2\\n'",
        "srun": 'shift_to() { while [[ "$1" == --* ]]; do shift; done; export SLURM_PROCID=1; "$@"; }; shift_to "$@"',
        "vllm": 'echo "vllm $*" >> "$CALLS"',
        "accelerate": 'sleep 1; printf "%s\\n" "$@" > "$CALLS.accelerate"',
    }.items():
        stand_in = tmp_path / "bin" / program
        stand_in.parent.mkdir(exist_ok=True)
        stand_in.write_text(f"#!/usr/bin/env bash\n{body}\n")
        stand_in.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "CALLS": str(tmp_path / "calls"),
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "node[0-2]",
        "ADAPTER": "16",
    }
    subprocess.run([str(script)], env=environment, cwd=tmp_path, check=True, timeout=60)
    assert '--weight-transfer-config {"backend": "nccl"}' in (tmp_path / "calls").read_text()
    asked = (tmp_path / "calls.accelerate").read_text().splitlines()
    started = dict(pairwise(asked))
    assert started["--num_machines"] == "2"
    assert started["--num_processes"] == "16"
    assert started["--machine_rank"] == "1"
    assert started["--main_process_ip"] == "node1"
    assert started["--name"] == "7"
    overrides = [value for option, value in pairwise(asked) if option == "--set"]
    recipe = load_recipe(started["--recipe"], overrides)
    assert recipe.model.adapter is not None
    assert (recipe.model.adapter.rank, recipe.model.adapter.alpha) == (16, 32)
    assert recipe.grpo.trl["vllm_server_base_url"] == "http://node0:8000"
    again = {**environment, "RESUME": "1", "NAME": "7"}
    subprocess.run([str(script)], env=again, cwd=tmp_path, check=True, timeout=60)
    asked = (tmp_path / "calls.accelerate").read_text().splitlines()
    assert "--resume" in asked
    assert "--set" not in asked


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    subprocess.run(["shellcheck", str(write_launch("slurm", tmp_path)[0])], check=True)


def test_the_kubernetes_manifests_fit_together() -> None:
    (text,) = launch_files("kubernetes").values()
    parts = list(yaml.safe_load_all(text))
    assert [part["kind"] for part in parts] == ["Service", "Service", "NetworkPolicy", "Deployment", "Job"]
    server_service, train_service, policy, server, job = parts
    pod, trainer = server["spec"]["template"], job["spec"]["template"]["spec"]
    assert server_service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert policy["spec"]["podSelector"]["matchLabels"] == pod["metadata"]["labels"]
    assert train_service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert trainer["subdomain"] == train_service["metadata"]["name"]
    assert job["spec"]["completions"] == job["spec"]["parallelism"]
    (train,) = trainer["containers"]
    values: dict[str, str] = {item["name"]: item["value"] for item in train["env"]}
    assert int(values["MACHINES"]) == job["spec"]["parallelism"]
    assert int(values["PROCESSES"]) == job["spec"]["parallelism"] * train["resources"]["limits"]["nvidia.com/gpu"]
    (program,) = train["args"]
    assert f"http://{server_service['metadata']['name']}:8000" in program
    assert f"{job['metadata']['name']}-0.{trainer['subdomain']}" in program
    subprocess.run(["bash", "-n", "-c", program], check=True)
    mounted = {mount["name"] for mount in train["volumeMounts"]}
    assert mounted == {volume["name"] for volume in trainer["volumes"]}
    (serve,) = pod["spec"]["containers"]
    options = dict(option.removeprefix("--").split("=", 1) for option in serve["args"])
    assert json.loads(options["weight-transfer-config"]) == {"backend": "nccl"}
    assert int(options["data-parallel-size"]) == serve["resources"]["limits"]["nvidia.com/gpu"]


def test_the_context_is_the_recipes() -> None:
    recipe = load_recipe("qwen3-8b")
    (manifest,) = launch_files("kubernetes").values()
    assert f"--max-model-len={recipe.rollout.context}" in manifest
    assert f"CONTEXT:-{recipe.rollout.context}}}" in launch_files("slurm")["slurm.sh"]


def test_verl_gets_consistent_settings() -> None:
    files: dict[str, Any] = {name: yaml.safe_load(text) for name, text in launch_files("verl").items()}
    rollout = files["verl-grpo.yaml"]["actor_rollout_ref"]["rollout"]
    data = files["verl-grpo.yaml"]["data"]
    (entry,) = files["verl-agent-loop.yaml"]
    assert rollout["agent"]["agent_loop_config_path"] == "verl-agent-loop.yaml"
    assert rollout["agent"]["default_agent_loop"] == entry["name"]
    assert data["max_prompt_length"] + data["max_response_length"] <= rollout["max_model_len"]
    module, _, name = entry["_target_"].rpartition(".")
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text()
    assert f"class {name}(" in source
    for option in entry["options"]:
        assert f'    "{option}": ' in source
