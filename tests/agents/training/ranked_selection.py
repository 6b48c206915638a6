"""What the test of a selection over several processes runs in each: `python ranked_selection.py MODEL FOLDER`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("ACCELERATE_USE_CPU", "true")

from telegym.agents.training.ranks import process_index
from telegym.envs.registry import register_environment
from tests.agents.training.by_recipe import logged, recipe, trainer_of


def main(model: str, folder: str) -> None:
    """Train two steps, and write which tasks were drawn and what was logged."""
    register_environment("toy-units", "tests.agents.training.toy:ToyEnvironment")
    made = recipe(
        model,
        dynamic_sampling={"rounds": 3},
        deviation_filter={"starts": 1, "filters": 2, "beta": 0.1},
        curriculum={"survey": 4, "look": 2},
    )
    trainer = trainer_of(made, Path(folder))
    trainer.train()
    found = {
        "states": {name: part.state() for name, part in trainer.stateful.items()},
        "logged": logged(trainer),
        "tasks": [item.episode.task.id for item in trainer._transcripts],
    }
    (Path(folder) / f"found-{process_index()}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
