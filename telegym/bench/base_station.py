"""Base-station maintenance: building regions, forks, tool calls with and without radio changes, indicators, tasks.

Tool calls are those of an operator at work, on networks that have a fault and a ticket: reading alarms, states,
indicators, configuration and topology of random elements, in episodes of 60 calls, each on a fork of its own. Every
episode of every run has other calls, so nothing is answered twice because a benchmark repeats itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from time import process_time
from typing import Any, TypeVar

from telegym.bench.rates import Job, Sample
from telegym.core.environment import Environment
from telegym.core.episode import Episode
from telegym.core.messages import ToolCall
from telegym.core.tool import CallError, Toolkit
from telegym.envs.base_station.kpi import kpi_names
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import mix, uniforms
from telegym.envs.base_station.objects import Cell, Node, TransportLink
from telegym.envs.base_station.region import build_region
from telegym.envs.base_station.region.archetypes import archetype_names
from telegym.envs.base_station.tasks import BaseStationTasks
from telegym.tools.base_station import toolkit

__all__ = ["CALLS", "WRITES", "jobs", "workload"]

CALLS = 60
"""Calls of an episode."""
WRITES = (0.0, 0.005, 0.02)
"""Shares of calls that change what a cell radiates."""
_TASKS = 12
_UNSEEN = 1_000_000
_AFTERNOON_S = 10 * 86_400 + 15 * 3600
_FOUR = ("prb_util_dl_pct", "rrc_setup_success_pct", "dl_user_throughput_mbps", "erab_drop_pct")

_T = TypeVar("_T")
Arguments = dict[str, Any]


class _Draws:
    """Numbers that decide what is called."""

    def __init__(self, seed: int) -> None:
        self._numbers: Iterator[float] = iter(uniforms(seed, "draws", 16 * CALLS).tolist())

    def number(self) -> float:
        """Return the next number in [0, 1)."""
        return next(self._numbers)

    def choice(self, options: Sequence[_T]) -> _T:
        """Return one of the options."""
        return options[int(self.number() * len(options))]


class _Elements:
    """What can be asked about in a network."""

    def __init__(self, network: Network) -> None:
        self.sites = [site.id for site in network.region.layout.sites]
        self.cells = [cell.id for cell in network.all(Cell)]
        self.nodes = [node.id for node in network.all(Node)]
        self.links = [link.id for link in network.all(TransportLink)]
        self.alarms = [*network.alarms] or ["ALM-00001"]
        self.records = {cell.id: cell for cell in network.all(Cell)}


Drawn = tuple[str, Arguments]
"""Name of a tool, and arguments."""


def _alarms(draws: _Draws, known: _Elements) -> Drawn:
    if draws.number() < 0.3:
        return "get_alarm", {"alarm_id": draws.choice(known.alarms)}
    scope = draws.choice(("region", *known.sites))
    return "list_alarms", {"scope_id": scope, "limit": draws.choice((10, 20, 50))}


def _status(draws: _Draws, known: _Elements) -> Drawn:
    about = draws.number()
    if about < 0.5:
        return "get_cell_status", {"cell_id": draws.choice(known.cells)}
    if about < 0.8:
        return "get_node_status", {"node_id": draws.choice(known.nodes)}
    if about < 0.9:
        return "get_power_status", {"site_id": draws.choice(known.sites)}
    return "get_transport_status", {"element_id": draws.choice(known.links)}


def _indicators(draws: _Draws, known: _Elements) -> Drawn:
    names = [draws.choice(kpi_names()) for _ in range(draws.choice((1, 2, 4)))]
    return "get_kpi", {"element_id": draws.choice(known.cells), "kpis": names, "hours": draws.choice((6, 12, 24))}


def _configuration(draws: _Draws, known: _Elements) -> Drawn:
    if draws.number() < 0.2:
        return "get_config_history", {"element_id": draws.choice(known.cells)}
    compare = draws.choice(("none", "planned", "last_known_good"))
    return "get_config", {"element_id": draws.choice((*known.cells, *known.nodes)), "compare_to": compare}


def _topology(draws: _Draws, known: _Elements) -> Drawn:
    about = draws.number()
    if about < 0.4:
        layer = draws.choice(("transport", "power", "fronthaul", "sync"))
        return "get_topology", {"element_id": draws.choice(known.sites), "layer": layer}
    if about < 0.7:
        return "get_element_info", {"element_id": draws.choice((*known.cells, *known.nodes, *known.links))}
    return "list_elements", {"parent_id": draws.choice(known.sites), "element_type": draws.choice(("cell", "node"))}


def _wrong(draws: _Draws, known: _Elements) -> Drawn:
    """Return a call that is refused: an element that is not there, or arguments that do not fit."""
    if draws.number() < 0.5:
        return "get_cell_status", {"cell_id": f"{draws.choice(known.sites)}-L99-1"}
    return "get_cell_status", {"cell": draws.choice(known.cells)}


def _write(draws: _Draws, known: _Elements) -> Drawn:
    """Return a change of the power or the tilt of a cell."""
    cell = known.records[draws.choice(known.cells)]
    if draws.number() < 0.5:
        power = round(cell.max_tx_power_dbm - draws.choice((0.5, 1.0, 2.0, 3.0)), 1)
        return "set_parameter", {"element_id": cell.id, "parameter": "max_tx_power_dbm", "value": str(power)}
    tilt = cell.electrical_tilt_deg + draws.choice((0.5, 1.0, 2.0, 3.0))
    return "set_antenna_tilt", {"cell_id": cell.id, "electrical_tilt_deg": tilt}


Kind = Callable[[_Draws, _Elements], Drawn]
_MIX: tuple[tuple[float, Kind], ...] = (
    (0.20, _alarms),
    (0.30, _status),
    (0.10, _indicators),
    (0.18, _configuration),
    (0.18, _topology),
    (0.04, _wrong),
)
"""Shares of the kinds of reading calls."""


def _kind(number: float) -> Kind:
    for share, kind in _MIX:
        if number < share:
            return kind
        number -= share
    return _MIX[0][1]


def workload(network: Network, seed: int, writes: float = 0.0) -> list[ToolCall]:
    """Return the calls of one episode.

    Args:
        network: Whose elements are asked about.
        seed: Decides the calls.
        writes: Share of calls that change what a cell radiates, 0-1.
    """
    draws, known = _Draws(seed), _Elements(network)
    found = []
    for place in range(CALLS):
        name, arguments = (_write if draws.number() < writes else _kind(draws.number()))(draws, known)
        found.append(ToolCall(id=str(place), name=name, arguments=arguments))
    return found


# --- jobs -------------------------------------------------------------------------------------------------


def jobs(environment: Environment) -> tuple[dict[str, Job], dict[str, Any]]:
    """Return what is measured, and facts about the workload."""
    count_of_tasks = min(_TASKS, len(environment.tasks))
    networks = _Networks(environment, count_of_tasks)
    found = {f"region {name}": Job(_building(name), True, _size(name)) for name in archetype_names()}
    for share in WRITES:
        label = f"calls, {share:.1%} radio writes" if share else "calls, no radio writes"
        found[label] = Job(_calling(networks, environment.toolkit(environment.tasks[0]), share))
    found["get_kpi 4 x 24, healthy"] = Job(_asking(_healthy))
    found["get_kpi 4 x 24, with a fault"] = Job(_asking(networks.all))
    found["get_kpi 4 x 24, cold"] = Job(_asking_first(), True, "first question about a region")
    found["fork"] = Job(_forking(networks))
    found["task"] = Job(_generating(environment), True, "with region and ticket")
    found["episode"] = Job(_starting(environment, count_of_tasks), note="region known")
    return found, {"tasks": count_of_tasks, "calls": CALLS}


class _Networks:
    """Networks with a fault and a ticket, built when they are first needed."""

    def __init__(self, environment: Environment, size: int) -> None:
        self._environment, self._size = environment, size
        self._built: list[Network] = []

    def all(self) -> list[Network]:
        """Return them."""
        for index in range(len(self._built), self._size):
            world = self._environment.build_world(self._environment.tasks[index], 0)
            assert isinstance(world, Network)
            self._built.append(world)
        return self._built


def _size(name: str) -> str:
    """Return how many cells regions of an archetype have."""
    counts = [sum(map(len, build_region(name, _UNSEEN - 1 - place).cells_of.values())) for place in range(9)]
    return f"{min(counts)} to {max(counts)} cells"


def _building(name: str) -> Callable[[], Sample]:
    seeds = count(_UNSEEN)

    def job() -> Sample:
        seed = next(seeds)
        start = process_time()
        build_region(name, seed)
        return Sample(1, process_time() - start)

    return job


def _calling(networks: _Networks, tools: Toolkit, writes: float) -> Callable[[], Sample]:
    runs = count()

    def job() -> Sample:
        run = next(runs)
        played = [
            (network.fork(), workload(network, mix(run, "episode", place), writes))
            for place, network in enumerate(networks.all())
        ]
        start = process_time()
        for world, calls in played:
            for call in calls:
                if tools.execute(world, call).error is CallError.INTERNAL:
                    raise AssertionError(f"{call.name} failed: {call.arguments}")
        return Sample(len(played) * CALLS, process_time() - start)

    return job


def _healthy() -> list[Network]:
    return [Network(name, _UNSEEN, start_s=_AFTERNOON_S) for name in archetype_names()]


def _asking(worlds: Callable[[], list[Network]]) -> Callable[[], Sample]:
    """Ask for indicators of cells that others have asked about before: with other cells each time."""
    tools, runs = toolkit(), count()

    def job() -> Sample:
        run, asked = next(runs), []
        for network in worlds():
            cells = [cell.id for cell in network.all(Cell)]
            for place in range(8):
                asked.append((network.fork(), _question(cells[(8 * run + place) % len(cells)])))
        start = process_time()
        for world, call in asked:
            tools.execute(world, call)
        return Sample(len(asked), process_time() - start)

    return job


def _question(cell_id: str) -> ToolCall:
    return ToolCall(id="1", name="get_kpi", arguments={"element_id": cell_id, "kpis": list(_FOUR), "hours": 24})


def _asking_first() -> Callable[[], Sample]:
    tools, seeds = toolkit(), count(_UNSEEN)

    def job() -> Sample:
        seed = next(seeds)
        names = archetype_names()
        network = Network(names[seed % len(names)], 2 * _UNSEEN + seed, start_s=_AFTERNOON_S)
        network.settle()
        call = _question(next(network.all(Cell)).id)
        start = process_time()
        tools.execute(network, call)
        return Sample(1, process_time() - start)

    return job


def _forking(networks: _Networks) -> Callable[[], Sample]:
    def job() -> Sample:
        worlds = networks.all()
        start = process_time()
        for world in worlds:
            for _ in range(10):
                world.fork()
        return Sample(10 * len(worlds), process_time() - start)

    return job


def _generating(environment: Environment) -> Callable[[], Sample]:
    tasks = environment.tasks
    assert isinstance(tasks, BaseStationTasks)
    indices = count(_TASKS)

    def job() -> Sample:
        index = next(indices)
        start = process_time()
        tasks.make_task(index)
        return Sample(1, process_time() - start)

    return job


def _starting(environment: Environment, size: int) -> Callable[[], Sample]:
    def job() -> Sample:
        tasks = [environment.tasks[index] for index in range(size)]
        start = process_time()
        for task in tasks:
            Episode(environment, task)
        return Sample(size, process_time() - start)

    return job
