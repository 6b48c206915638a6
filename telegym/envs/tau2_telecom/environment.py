"""Tau2Telecom: the telecom environment, configured by source, mode, policy and scoring."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, get_args

from telegym.core.environment import Environment
from telegym.core.errors import ConfigurationError, TaskError, did_you_mean
from telegym.core.messages import Message
from telegym.core.score import Score
from telegym.core.task import Task, TaskSet
from telegym.core.tool import Toolkit
from telegym.core.user import User
from telegym.envs.tau2_telecom.benchmark import Tau2Benchmark, build_world
from telegym.envs.tau2_telecom.case import Case, scenario_of
from telegym.envs.tau2_telecom.choosing import choose
from telegym.envs.tau2_telecom.dual_expert import DualExpert
from telegym.envs.tau2_telecom.expert import Expert, SlipRates
from telegym.envs.tau2_telecom.faults import checked_faults
from telegym.envs.tau2_telecom.native import MAX_FAULTS, NativeTasks
from telegym.envs.tau2_telecom.oracle import next_message, par
from telegym.envs.tau2_telecom.phrases import policy_file
from telegym.envs.tau2_telecom.recombined import RecombinedTasks
from telegym.envs.tau2_telecom.scenario import UserScenario
from telegym.envs.tau2_telecom.scoring import Scoring, official_score, strict_score
from telegym.envs.tau2_telecom.world import TelecomWorld

if TYPE_CHECKING:
    from telegym.core.episode import Episode, Limits

__all__ = ["GREETING", "Mode", "Policy", "Source", "Tau2Telecom"]

Source = Literal["native", "benchmark", "recombined"]
"""Where tasks come from: the generator, a tau2-bench data folder, or new sets of the faults of that folder's tasks."""
Mode = Literal["solo", "dual"]
"""Whether the agent works alone from a ticket, or talks to a user who operates the phone."""
Policy = Literal["manual", "workflow"]
"""Which technical document the agent gets."""

GREETING = "Hello! How can I help you today?"
"""What the agent says first when there is a user."""
_KEPT_CASES = 4096

_T = TypeVar("_T")


class Tau2Telecom(Environment):
    """A carrier's help desk, as tau2-bench's telecom domain defines it.

    Args:
        source: `native` for generated tasks, `benchmark` for those of a tau2-bench data folder, `recombined` for
            further tasks in the world of these, made of the faults they consist of.
        data: The data folder, for sources `benchmark` and `recombined`.
        split: Native: train, dev, test or test-compositions. Otherwise: a split of the folder, or `all`.
            By default `train`, or the folder's `base`. No recombined task has the faults of a task of the split.
        mode: `solo` for an agent that works alone, `dual` for one that talks to a user.
        scoring: `strict`, or `benchmark` for exactly the official rule.
        policy: `manual` or `workflow`: which technical document follows the main policy.
        count: How many native or recombined tasks.
        seed: Decides these tasks.
        max_faults: The most faults in one of them.
        faults: Only tasks with at least one of these faults; all by default.
        without_faults: Only tasks with none of these faults.
        ids: Published tasks that are taken, by id; all of the split by default. For source `recombined`, here as in
            `fold`, they are the tasks that lend their faults, words and world.
        fold: The part of these that is taken: `{of: 2, index: 0}` for every second one from the first on,
            `{of: 5, without: 0}` for all but every fifth.
        exclude: Published tasks that are left out, by id or by the name of a split. For source `recombined`, no task
            has the faults of one of them.
        share: Share of the possible compositions of faults that recombined tasks have, above 0 to 1.
        consecutive: Share of native carriers that number customers, lines and bills one after the other, 0 to 1.
        user: Who plays the user in mode `dual`: `scripted`, or a model as `openai:MODEL`.

    Raises:
        ConfigurationError: If an option has no valid value, or the data folder cannot be read.
    """

    id: ClassVar[str] = "tau2-telecom"

    def __init__(
        self,
        *,
        source: Source = "native",
        data: str | None = None,
        split: str | None = None,
        mode: Mode = "solo",
        scoring: Scoring = "strict",
        policy: Policy = "manual",
        count: int = 1000,
        seed: int = 0,
        max_faults: int = MAX_FAULTS,
        faults: Sequence[str] | None = None,
        without_faults: Sequence[str] = (),
        ids: Sequence[str] | None = None,
        fold: Mapping[str, Any] | None = None,
        exclude: Sequence[str] = (),
        share: float = 1.0,
        consecutive: float = 0.0,
        user: str = "scripted",
    ) -> None:
        self.source: Source = _one_of("source", source, get_args(Source))
        self.mode: Mode = _one_of("mode", mode, get_args(Mode))
        self.scoring: Scoring = _one_of("scoring", scoring, get_args(Scoring))
        self.policy: Policy = _one_of("policy", policy, get_args(Policy))
        self.data, self.split, self.count, self.seed, self.max_faults = data, split, count, seed, max_faults
        self.faults = None if faults is None else checked_faults(faults)
        self.without_faults = checked_faults(without_faults) if without_faults else ()
        self.ids, self.fold, self.exclude, self.share = ids, fold, exclude, share
        self.consecutive = consecutive
        self.user_spec = _checked_user(user)
        self._benchmark = self._open_benchmark()
        self._tasks = self._choose_tasks()
        self._cases: OrderedDict[str, Case] = OrderedDict()
        self._toolkit: Toolkit | None = None
        self._instructions: str | None = None
        self._limits: Limits | None = None

    def _open_benchmark(self) -> Tau2Benchmark | None:
        if self.source == "native":
            self._refuse_choices()
            return None
        if self.data is None:
            raise ConfigurationError(f"source={self.source!r} needs data, the path of a tau2-bench data folder")
        try:
            return Tau2Benchmark(self.data)
        except TaskError as error:
            raise ConfigurationError(str(error)) from error

    def _refuse_choices(self) -> None:
        """Refuse options that choose among published tasks where there are none."""
        for name, empty in (("data", None), ("ids", None), ("fold", None), ("exclude", ()), ("share", 1.0)):
            value = getattr(self, name)
            if value != empty and value != []:
                fits = "source='recombined'" if name == "share" else "source='benchmark' or 'recombined'"
                raise ConfigurationError(f"{name}={value!r} goes with {fits}, but source is 'native'")

    def _choose_tasks(self) -> TaskSet:
        if self._benchmark is None:
            split: Any = self.split or "train"
            return NativeTasks(
                self.seed,
                split,
                self.count,
                max_faults=self.max_faults,
                faults=self.faults,
                without_faults=self.without_faults,
                consecutive=self.consecutive,
            )
        chosen = choose(self._benchmark.tasks, self.split, self.ids, self.fold, self.exclude)
        if self.source == "recombined":
            return RecombinedTasks(
                chosen.tasks,
                self._benchmark.initial_state,
                excluded=(*chosen.all, *chosen.excluded),
                seed=self.seed,
                count=self.count,
                max_faults=self.max_faults,
                faults=self.faults,
                without_faults=self.without_faults,
                share=self.share,
            )
        if self.share != 1.0:
            raise ConfigurationError(f"share={self.share!r} goes with source='recombined', but source is 'benchmark'")
        return chosen.remaining(self.faults, self.without_faults)

    @property
    def options(self) -> dict[str, Any]:
        """The options with which an equal environment is built."""
        return {
            "source": self.source,
            "data": self.data,
            "split": self.split,
            "mode": self.mode,
            "scoring": self.scoring,
            "policy": self.policy,
            "count": self.count,
            "seed": self.seed,
            "max_faults": self.max_faults,
            "faults": None if self.faults is None else list(self.faults),
            "without_faults": list(self.without_faults),
            "ids": None if self.ids is None else list(self.ids),
            "fold": None if self.fold is None else dict(self.fold),
            "exclude": list(self.exclude),
            "share": self.share,
            "consecutive": self.consecutive,
            "user": self.user_spec,
        }

    @property
    def tasks(self) -> TaskSet:
        """The tasks that can be played."""
        return self._tasks

    @property
    def limits(self) -> Limits:
        """The limits of tau2-bench."""
        if self._limits is None:
            from telegym.core.episode import Limits

            self._limits = Limits()
        return self._limits

    @property
    def text_ends_episode(self) -> bool:
        """True in mode `solo`: nobody listens."""
        return self.mode == "solo"

    def toolkit(self, task: Task) -> Toolkit:
        """Return all 43 tools, with `done` for an agent that works alone."""
        if self._toolkit is None:
            from telegym.tools.tau2_telecom import dual_toolkit, solo_toolkit

            self._toolkit = solo_toolkit() if self.mode == "solo" else dual_toolkit()
        return self._toolkit

    def build_world(self, task: Task, seed: int = 0) -> TelecomWorld:
        """Return the initial world of a task."""
        return build_world(self._benchmark.initial_state if self._benchmark else None, task, seed)

    def instructions(self, task: Task) -> str:
        """Return main policy and technical document."""
        if self._instructions is None:
            self._instructions = self._read_instructions()
        return self._instructions

    def _read_instructions(self) -> str:
        solo = self.mode == "solo"
        if self._benchmark is not None:
            return self._benchmark.policy(self.policy, solo)
        main = policy_file("main_policy_solo" if solo else "main_policy")
        workflow = "tech_workflow_solo" if solo else "tech_workflow"
        tech = policy_file(workflow if self.policy == "workflow" else "tech_manual")
        return f"<main_policy>\n{main}\n</main_policy>\n<tech_support_policy>\n{tech}\n</tech_support_policy>"

    def opening(self, task: Task) -> list[Message]:
        """Return the ticket, or the greeting to which the user answers."""
        if self.mode == "solo":
            return [Message(role="user", content=task.ticket)]
        return [Message(role="assistant", content=GREETING)]

    def scenario(self, task: Task) -> UserScenario:
        """Return what the user of a task knows and wants."""
        return scenario_of(task)

    def user(self, task: Task, seed: int) -> User | None:
        """Return the user, or None in mode `solo`."""
        if self.mode == "solo":
            return None
        from telegym.agents.users import make_user  # who plays the user is the agents' package's matter

        return make_user(self.user_spec, self.scenario(task), seed=seed)

    def case(self, task: Task) -> Case:
        """Return what the task comes down to behind the scenes."""
        case = self._cases.get(task.id)
        if case is None or case.task is not task:
            case = self._cases[task.id] = Case.of(task, self.build_world(task))
            if len(self._cases) > _KEPT_CASES:
                self._cases.popitem(last=False)
        return case

    def score(self, episode: Episode) -> Score:
        """Return the score by the rule chosen for this environment."""
        if self.scoring == "benchmark":
            return official_score(episode)
        return strict_score(episode, self.case(episode.task))

    def bucket(self, labels: Mapping[str, Any]) -> str:
        """Return what the customer wants and how many faults are in the way, for example `mms_issue/3`."""
        return f"{labels.get('family') or 'other'}/{len(labels.get('faults') or ())}"

    def hint(self, episode: Episode) -> Message | None:
        """Return the oracle's next message."""
        return next_message(episode, self.case(episode.task), alone=self.mode == "solo")

    def expert(self, episode: Episode) -> Message:
        """Return the next message of the expert, who knows no more than the agent."""
        return Expert().act(episode) if self.mode == "solo" else DualExpert().act(episode)

    def demonstrator(self, seed: int, mistakes: dict[str, float], take: int) -> Callable[[Episode], Message]:
        """Return who shows a small model how to play: the expert, who may err.

        Args:
            seed: Decides the mistakes, together with task, episode seed and turn.
            mistakes: How often which mistake is made: fields of `expert.SlipRates`; for mode `solo`.
            take: Which demonstration it is; all of a task are alike.
        """
        return Expert(seed, SlipRates(**mistakes)).act if mistakes else self.expert

    def par(self, task: Task) -> int:
        """Return the fewest tool calls, `done` included, that solve a task alone and by the book."""
        return par(task, self.case(task), self.build_world(task))


def _checked_user(spec: str) -> str:
    kind, _, model = spec.partition(":")
    if spec != "scripted" and not (kind == "openai" and model):
        hint = did_you_mean(kind, ("scripted", "openai"))
        raise ConfigurationError(f"user is {spec!r}; valid: scripted, openai:MODEL.{hint}")
    return spec


def _one_of(name: str, value: _T, valid: tuple[Any, ...]) -> _T:
    if value not in valid:
        hint = did_you_mean(str(value), valid)
        raise ConfigurationError(f"{name} is {value!r}; valid: {', '.join(map(str, valid))}.{hint}")
    return value
