"""Hashes of what the simulator does: `python -m tests.envs.base_station.hashes --with OTHER/bin/python`.

Regions, networks with faults, indicators as numbers and as text, and whole plays of oracle and expert are hashed in two
processes of this interpreter, which hash text differently, and in one process of every other interpreter. Prints how
many hashes there are and which of them differ; the exit code is 1 if any does. Another interpreter needs TeleGym's own
dependencies; a virtual environment with another version of NumPy is what it is meant for.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from telegym.core.episode import Episode
from telegym.core.messages import ToolCall
from telegym.core.tool import CallError
from telegym.envs.base_station import kpi, radio
from telegym.envs.base_station.engine import DAY_S, HOUR_S
from telegym.envs.base_station.environment import BaseStation
from telegym.envs.base_station.faults import fault, fault_codes
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice
from telegym.envs.base_station.objects import Cell
from telegym.envs.base_station.players.expert import expert
from telegym.envs.base_station.players.oracle import oracle
from telegym.envs.base_station.players.steps import play
from telegym.envs.base_station.region import Region, build_region
from telegym.envs.base_station.region.archetypes import archetype_names
from telegym.tools.base_station import toolkit

__all__ = ["Outcome", "digest", "hashes", "hashes_elsewhere"]

ROOT = Path(__file__).parents[3]
"""Where the other processes find the package and its tests."""
PLAYERS = {"oracle": oracle, "expert": expert}
"""Players whose plays are hashed."""
_HOURS_LATER = 9
_CELLS = 5
_PERIODS = 96


class Outcome(NamedTuple):
    """What a process came to."""

    name: str
    """Which process it was."""
    python: str
    """Version of Python."""
    numpy: str
    """Version of NumPy."""
    hashes: dict[str, str]
    """Hashes by what they are of."""


# --- hashing ----------------------------------------------------------------------------------------------


def digest(value: Any) -> str:
    """Return a hash of everything in a value; of arrays every bit, of records every field."""
    found = hashlib.sha256()
    for piece in _pieces(value):
        found.update(piece)
    return found.hexdigest()[:16]


def _pieces(value: Any) -> Iterator[bytes]:
    if isinstance(value, np.ndarray):
        yield f"{value.dtype.kind}{value.shape}".encode()
        # Zeros of either sign are one number.
        yield np.ascontiguousarray(value + 0.0 if value.dtype.kind == "f" else value).tobytes()
    elif isinstance(value, Mapping):
        yield b"{"
        for key, item in value.items():
            yield from _pieces(key)
            yield from _pieces(item)
    elif isinstance(value, Enum):
        yield repr(value.value).encode()
    elif dataclasses.is_dataclass(value):
        yield from _pieces({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    elif isinstance(value, (tuple, list)):
        yield f"({len(value)}".encode()
        for item in value:
            yield from _pieces(item)
    else:
        yield repr(value.item() if isinstance(value, np.generic) else value).encode()


def hashes(seeds: int = 3, tasks: int = 20) -> dict[str, str]:
    """Return all hashes.

    Args:
        seeds: How many regions of each archetype.
        tasks: How many tasks are played.
    """
    return dict([*_regions(seeds), *_networks(), *_plays(tasks)])


def _regions(seeds: int) -> Iterator[tuple[str, str]]:
    """Yield hashes of regions as built, of the demand in them and of all indicators in three hours."""
    for name in archetype_names():
        for seed in range(1, seeds + 1):
            region = build_region(name, seed)
            yield f"region {name} {seed}", digest(_as_used(region))
            yield f"demand {name} {seed}", digest({tag: radio.busy_demand_mbps(region, tag) for tag in region.layers})
        network = Network(name, 1, start_s=3 * DAY_S)
        network.settle()
        tables = [kpi.table(network.region, network.epochs[-1].view, hour) for hour in (3, 19, 130)]
        yield f"indicators {name}", digest([{tag: table[tag] for tag in table} for table in tables])


def _as_used(region: Region) -> Region:
    """Return a region with planned levels to nine decimals, beyond which nothing looks at them."""
    layers = {tag: dataclasses.replace(plan, rsrp_dbm=plan.rsrp_dbm.round(9)) for tag, plan in region.layers.items()}
    return dataclasses.replace(region, layers=layers)


def _networks() -> Iterator[tuple[str, str]]:
    """Yield hashes of networks with each everyday fault, and of what is measured in them."""
    for index, code in enumerate(fault_codes(1)):
        for name in archetype_names()[index % 2 :: 2]:
            network = Network(name, 2, seed=3, start_s=15 * HOUR_S)
            options = fault(code).eligible(network)
            if options:
                fault(code).inject(network, choice(options, 3, code), seed=3)
                network.advance(_HOURS_LATER * HOUR_S + 700)
                yield f"state {name} {code}", network.state_hash()
                yield f"numbers {name} {code}", digest(list(_series(network)))
                yield f"answers {name} {code}", digest(list(_answers(network)))
                break


def _some_cells(network: Network) -> list[str]:
    cells = [cell.id for cell in network.all(Cell)]
    return cells[:: max(1, len(cells) // _CELLS)]


def _series(network: Network) -> Iterator[Any]:
    """Yield all indicators of some cells for a day, and what is normal."""
    end = network.now // kpi.BIN_S
    for cell in _some_cells(network):
        yield kpi.bins_and_expected(network.region, network.epochs, cell, kpi.kpi_names(), end - _PERIODS, _PERIODS)


def _answers(network: Network) -> Iterator[str]:
    """Yield what tools answer about some cells."""
    tools, names = toolkit(), kpi.kpi_names()
    for place, cell in enumerate(_some_cells(network)):
        asked = [names[(4 * place + step) % len(names)] for step in range(4)]
        for name, arguments in (
            ("get_kpi", {"element_id": cell, "kpis": asked}),
            ("rank_cells", {"kpi": asked[0]}),
            ("get_cell_status", {"cell_id": cell}),
            ("list_alarms", {"limit": 50}),
        ):
            answer = tools.execute(network, ToolCall(id="1", name=name, arguments=arguments))
            if answer.error is CallError.INTERNAL:
                raise RuntimeError(f"{name} of {arguments} failed: {answer.content}")
            yield answer.content


def _plays(tasks: int) -> Iterator[tuple[str, str]]:
    """Yield hashes of plays: all that was said, and the state that was reached."""
    environment = BaseStation(count=max(tasks, 1))
    for index in range(tasks):
        task = environment.tasks[index]
        yield f"task {index}", digest(task.model_dump_json())
        for name, player in PLAYERS.items():
            yield f"play {name} {index}", digest(play(Episode(environment, task), player).trajectory(name).to_json())


# --- processes --------------------------------------------------------------------------------------------


def hashes_elsewhere(python: str, name: str, seeds: int, tasks: int, hash_seed: str = "0") -> Outcome:
    """Return what another process comes to.

    Args:
        python: Its interpreter.
        name: What it is called.
        seeds: How many regions of each archetype.
        tasks: How many tasks are played.
        hash_seed: How it hashes text.

    Raises:
        RuntimeError: If it fails.
    """
    command = [python, "-m", "tests.envs.base_station.hashes", "--one", "--seeds", str(seeds), "--tasks", str(tasks)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{python} failed: {done.stderr[-2000:]}")
    return Outcome(name, **json.loads(done.stdout))


def different(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what does not have the same hash in all outcomes."""
    names = dict.fromkeys(name for outcome in outcomes for name in outcome.hashes)
    return [name for name in names if len({outcome.hashes.get(name) for outcome in outcomes}) > 1]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--with", dest="others", action="append", default=[], metavar="PYTHON", help="also run this")
    parser.add_argument("--seeds", type=int, default=3, help="regions of each archetype")
    parser.add_argument("--tasks", type=int, default=20, help="tasks that oracle and expert play")
    parser.add_argument("--one", action="store_true", help="print the hashes of this process as JSON")
    parser.add_argument("--before", type=Path, help="also compare with what --one printed earlier")
    return parser.parse_args()


def main() -> int:
    """Run from the command line; return the exit code."""
    chosen = _arguments()
    if chosen.one:
        found = hashes(chosen.seeds, chosen.tasks)
        json.dump({"python": platform.python_version(), "numpy": np.__version__, "hashes": found}, sys.stdout)
        return 0
    size = (chosen.seeds, chosen.tasks)
    outcomes = [hashes_elsewhere(sys.executable, f"process {seed}", *size, seed) for seed in ("1", "2")]
    outcomes += [hashes_elsewhere(python, python, *size) for python in chosen.others]
    if chosen.before is not None:
        outcomes.append(Outcome(str(chosen.before), **json.loads(chosen.before.read_text(encoding="utf-8"))))
    return _report(outcomes)


def _report(outcomes: Sequence[Outcome]) -> int:
    for outcome in outcomes:
        whole = digest(list(outcome.hashes.items()))
        about = f"Python {outcome.python}, NumPy {outcome.numpy}, {len(outcome.hashes)} hashes, together {whole}"
        sys.stdout.write(f"{outcome.name}: {about}\n")
    odd = different(outcomes)
    sys.stdout.write(f"{len(odd)} of {len(outcomes[0].hashes)} differ{': ' if odd else ''}{', '.join(odd[:20])}\n")
    return 1 if odd else 0


if __name__ == "__main__":
    sys.exit(main())
