"""Files to start trainings on many GPUs: configurations of accelerate, a SLURM script, Kubernetes manifests, verl.

They are templates to be edited: names of models, partitions, images and volumes stand at the top of each.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from telegym.core.errors import ConfigurationError, did_you_mean

__all__ = ["LAUNCHES", "launch_files", "write_launch"]

LAUNCHES: dict[str, tuple[str, ...]] = {
    "ddp": ("accelerate-ddp.yaml",),
    "fsdp2": ("accelerate-fsdp2.yaml",),
    "zero3": ("accelerate-zero3.yaml",),
    "slurm": ("slurm.sh", "accelerate-ddp.yaml", "accelerate-zero3.yaml"),
    "kubernetes": ("kubernetes.yaml",),
    "verl": ("verl-grpo.yaml", "verl-agent-loop.yaml"),
}
"""Names of the ways to start a training, each with its files."""


def launch_files(name: str) -> dict[str, str]:
    """Return the files of a way to start a training, by name.

    Raises:
        ConfigurationError: If there is no such way.
    """
    if name not in LAUNCHES:
        raise ConfigurationError(
            f"no launch configuration {name!r}; there are: {', '.join(LAUNCHES)}.{did_you_mean(name, LAUNCHES)}"
        )
    folder = resources.files(__package__ or __name__)
    return {file: folder.joinpath(file).read_text("utf-8") for file in LAUNCHES[name]}


def write_launch(name: str, folder: Path, *, replace: bool = False) -> list[Path]:
    """Write the files of a way to start a training, and return where they are.

    Args:
        name: One of `LAUNCHES`.
        folder: Where to; it is made if there is none.
        replace: Whether files that are there already, perhaps edited, are written anew.

    Raises:
        ConfigurationError: If there is no such way, or a file is there already.
    """
    files = {folder / file: text for file, text in launch_files(name).items()}
    there = [str(path) for path in files if path.exists()]
    if there and not replace:
        raise ConfigurationError(f"there already: {', '.join(there)}; choose another folder, or --replace")
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.write_text(text, "utf-8")
        if path.suffix == ".sh":
            path.chmod(0o755)
    return list(files)
