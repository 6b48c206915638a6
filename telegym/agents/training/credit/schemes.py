"""Schemes of credit: formulas with their settings, from rollouts to an advantage for each turn.

Notation: r_i is the reward of rollout i, T_i its number of turns, G the rollouts of a group that have a reward. Means
and deviations are over what is named; a deviation is that of a sample (n - 1), with 1e-4 added where it divides, as TRL
has it. A rollout without a reward has zeros and is in no mean. The turns that a branch shares with its parent have
zeros in the branch and count once, in the parent.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, FiniteFloat, PositiveInt

from telegym.agents.training.credit.rollout import Advantages, Need, Rollout
from telegym.core.errors import ConfigurationError
from telegym.core.settings import Settings, parse_settings

__all__ = [
    "AnyScheme",
    "Blame",
    "Branches",
    "Calls",
    "GroupInGroup",
    "LeaveOneOut",
    "Outcome",
    "Scheme",
    "Trajectory",
    "Turns",
    "combined",
    "normalised",
    "schemes_of",
    "unseen_components",
]

Baseline = Literal["grpo", "dr_grpo", "rloo"]
Whole = Literal["trajectory", "grpo", "dr_grpo", "rloo", "none"]
Discount = Annotated[float, Field(ge=0, le=1)]

_EPSILON = 1e-4
_Place = TypeVar("_Place", bound=Hashable)


def normalised(values: Sequence[float], baseline: Baseline) -> list[float]:
    """Return values relative to each other; a single one is 0.

    Args:
        values: What is compared.
        baseline: `grpo`: (x - mean) / (deviation + 1e-4); `dr_grpo`: x - mean; `rloo`: x - mean of the others.
    """
    if len(values) < 2:
        return [0.0] * len(values)
    mean = math.fsum(values) / len(values)
    centred = [value - mean for value in values]
    if baseline == "dr_grpo":
        return centred
    if baseline == "rloo":
        return [each * len(values) / (len(values) - 1) for each in centred]
    deviation = math.sqrt(math.fsum(each * each for each in centred) / (len(values) - 1))
    return [each / (deviation + _EPSILON) for each in centred]


class Scheme(Settings, ABC):
    """A way to give credit."""

    weight: FiniteFloat = 1.0
    """Weight in the sum of schemes."""

    @property
    def needs(self) -> frozenset[Need]:
        """What has to be measured for it."""
        return frozenset({"groups"})

    @abstractmethod
    def advantages(self, batch: Sequence[Rollout]) -> Advantages:
        """Return the advantage of each turn of each rollout, before the weight."""


class Trajectory(Scheme):
    """All turns share the advantage that the trainer gave the rollout: A_it = A_i."""

    kind: Literal["trajectory"] = "trajectory"
    """Which scheme."""

    @property
    def needs(self) -> frozenset[Need]:
        """Nothing."""
        return frozenset()

    def advantages(self, batch: Sequence[Rollout]) -> Advantages:
        """Return the trainer's advantages."""
        return [[rollout.advantage] * rollout.turns for rollout in batch]


class Blame(Scheme):
    """A negative advantage of the trainer falls on the turns to blame alone."""

    kind: Literal["turn"] = "turn"
    """Which scheme."""

    @property
    def needs(self) -> frozenset[Need]:
        """What has to be measured for it."""
        return frozenset({"components"})

    def advantages(self, batch: Sequence[Rollout]) -> Advantages:
        """Return the trainer's advantages, negative ones on the turns to blame."""
        return [
            [rollout.advantage * float(rollout.advantage >= 0 or guilty) for guilty in rollout.blamed]
            for rollout in batch
        ]


class Outcome(Scheme):
    """All turns share an advantage made of the group's rewards.

    - `grpo`: A_i = (r_i - mean(r)) / (deviation(r) + 1e-4); DeepSeekMath, arXiv 2402.03300.
    - `dr_grpo`: A_i = r_i - mean(r); Liu et al., arXiv 2503.20783.
    - `rloo`: A_i = r_i - mean of the others' r; Ahmadian et al., arXiv 2402.14740.
    """

    kind: Baseline
    """Which scheme."""

    def advantages(self, batch: Sequence[Rollout]) -> Advantages:
        """Return the advantages; branches are no fair samples of the group and have zeros."""
        places = [(index, rollout.group) for index, rollout in enumerate(batch) if _counts(rollout)]
        found = _compared(places, lambda index: batch[index].value or 0.0, self.kind)
        return [[found.get(index, 0.0)] * rollout.turns for index, rollout in enumerate(batch)]


class _ByTurns(Scheme):
    """What schemes have in common that give rewards to turns."""

    source: Literal["none", "components", "calls"] = "none"
    """Where rewards of single turns come from: differences of watched components, the values that rewards give calls,
    or nowhere."""
    components: dict[str, FiniteFloat] | None = None
    """Weights of components by name; by default all have the same and sum to 1. A component counts as 0 before it first
    appears."""
    final: FiniteFloat = 1.0
    """How much of the rollout's reward is added to its last turn."""
    discount: Discount = 1.0
    """What a reward one turn later is worth, from 0 to 1."""

    @property
    def needs(self) -> frozenset[Need]:
        """What has to be measured for it."""
        sources: dict[str, frozenset[Need]] = {
            "components": frozenset({"components"}),
            "calls": frozenset({"call values"}),
        }
        return super().needs | sources.get(self.source, frozenset())

    def returns(self, rollout: Rollout) -> list[float]:
        """Return for each turn the discounted sum of its reward and those of later turns."""
        total, found = 0.0, []
        for reward in reversed(self.rewards(rollout)):
            total = reward + self.discount * total
            found.append(total)
        return found[::-1]

    def rewards(self, rollout: Rollout) -> list[float]:
        """Return the reward of each turn."""
        rewards = [0.0] * rollout.turns
        if self.source == "components":
            rewards = _differences(rollout, self.components)
        for call in rollout.calls if self.source == "calls" else ():
            rewards[call.turn] += call.value or 0.0
        if rewards:
            rewards[-1] += self.final * (rollout.value or 0.0)
        return rewards


class Turns(_ByTurns):
    """Returns of turns, compared within the group.

    R_it = sum over k >= t of discount^(k - t) * reward_ik; A_it = R_it normalised over the turns with the same number
    t in the group (`across: position`; GTPO, Ding et al., arXiv 2511.14846) or over all turns of the group
    (`across: group`). With `discount: 0` and `final: 0` it is the turn-level advantage of MT-GRPO (Zeng et al., arXiv
    2505.11821), which is added to an outcome's; the paper leaves it out in the last turn.
    """

    kind: Literal["turns"] = "turns"
    """Which scheme."""
    source: Literal["none", "components", "calls"] = "components"
    """Where rewards of single turns come from: differences of watched components, the values that rewards give calls,
    or nowhere."""
    across: Literal["position", "group"] = "position"
    """What a return is compared with: those of turns with the same number, or of all turns of the group."""
    baseline: Baseline = "grpo"
    """How returns are compared."""

    def advantages(self, batch: Sequence[Rollout]) -> Advantages:
        """Return normalised returns."""
        returns = [self.returns(rollout) for rollout in batch]
        by_position = self.across == "position"
        places = [((i, t), (batch[i].group, t if by_position else 0)) for i, t in _turns(batch)]
        return _table(batch, _compared(places, lambda place: returns[place[0]][place[1]], self.baseline))


class _Added(Scheme):
    """What schemes have in common that add to the advantage of the rollout."""

    outcome: Whole = "trajectory"
    """The rollout's advantage that is added to: the trainer's, an outcome's, or none."""

    def whole(self, batch: Sequence[Rollout]) -> Advantages:
        """Return the advantages of the rollouts, turn by turn."""
        if self.outcome == "none":
            return [[0.0] * rollout.turns for rollout in batch]
        if self.outcome == "trajectory":
            return Trajectory().advantages(batch)
        return Outcome(kind=self.outcome).advantages(batch)


class GroupInGroup(_ByTurns, _Added):
    """Turns that begin in the same situation are compared with each other (GiGPO, Feng et al., arXiv 2505.10978).

    A_it = A_i + omega * (R_it - mean(R)) / F, over all turns of the group, also of one rollout, that begin in the same
    situation; R are discounted returns, F is 1 or the deviation.
    """

    kind: Literal["group_in_group"] = "group_in_group"
    """Which scheme."""
    omega: FiniteFloat = 1.0
    """Weight of the comparison of turns."""
    discount: Discount = 0.95
    """What a reward one turn later is worth, from 0 to 1."""
    same: Literal["state", "observed"] = "state"
    """When situations are the same: the world's state is, but for the passing of time where the world can tell, or also
    what the agent was told last."""
    baseline: Baseline = "dr_grpo"
    """How returns are compared: `dr_grpo` is F = 1, `grpo` the deviation."""

    @property
    def needs(self) -> frozenset[Need]:
        """What has to be measured for it."""
        return super().needs | {"situations"}

    def advantages(self, batch: Sequence[Rollout]) -> Advantages:
        """Return the rollouts' advantages plus those of turns among their like."""
        returns = [self.returns(rollout) for rollout in batch]
        places = [((i, t), (batch[i].group, _situation(batch[i], t, self.same))) for i, t in _turns(batch)]
        found = _compared(places, lambda place: returns[place[0]][place[1]], self.baseline)
        return _sum([(1.0, self.whole(batch)), (self.omega, _table(batch, found))])


class Calls(_Added):
    """The values that rewards give calls, compared with the group's at the same decision.

    A_it = A_i + gamma * sum over the calls c of turn t of (v_c - mean(v at c's decision)). A decision is a place in the
    order of the rollout's calls, or a situation and a place in the turn.
    """

    kind: Literal["calls"] = "calls"
    """Which scheme."""
    gamma: FiniteFloat = 1.0
    """Weight of the calls' values."""
    same: Literal["position", "state", "observed"] = "position"
    """When decisions are the same: the calls have the same number, or the turns begin in the same state of the world,
    or also with the same answer to the agent."""

    @property
    def needs(self) -> frozenset[Need]:
        """What has to be measured for it."""
        known: frozenset[Need] = frozenset({"call values"})
        return super().needs | known | (frozenset() if self.same == "position" else frozenset({"situations"}))

    def advantages(self, batch: Sequence[Rollout]) -> Advantages:
        """Return the rollouts' advantages plus those of calls among their like."""
        places = [
            ((i, number), (batch[i].group, *self._decision(batch[i], number)))
            for i, rollout in enumerate(batch)
            for number, call in enumerate(rollout.calls)
            if rollout.value is not None and call.value is not None and call.turn in rollout.own
        ]
        found = _compared(places, lambda place: batch[place[0]].calls[place[1]].value or 0.0, "dr_grpo")
        summed = [[0.0] * rollout.turns for rollout in batch]
        for (i, number), value in found.items():
            summed[i][batch[i].calls[number].turn] += value
        return _sum([(1.0, self.whole(batch)), (self.gamma, summed)])

    def _decision(self, rollout: Rollout, number: int) -> tuple[Hashable, ...]:
        if self.same == "position":
            return (number,)
        call = rollout.calls[number]
        return (_situation(rollout, call.turn, self.same), call.place)


class LeaveOneOut(_Added):
    """What the score would have been without a call.

    A_it = A_i + gamma * sum over the calls c of turn t of (score - score of the rollout replayed without c), as
    difference rewards (Wolpert and Tumer 2001) and COMA's counterfactual baseline (Foerster et al., arXiv 1705.08926)
    have it. A difference is its own baseline, so equal rollouts may have credit.
    """

    kind: Literal["leave_one_out"] = "leave_one_out"
    """Which scheme."""
    gamma: FiniteFloat = 1.0
    """Weight of the differences."""
    calls: PositiveInt = 4
    """The most calls of a rollout that are tried without; those that changed the world or a component come first."""

    @property
    def needs(self) -> frozenset[Need]:
        """What has to be measured for it."""
        return super().needs | {"counterfactuals"}

    def advantages(self, batch: Sequence[Rollout]) -> Advantages:
        """Return the rollouts' advantages plus what their calls changed."""
        own = {(i, t): batch[i].counterfactuals[t] for i, t in _turns(batch)}
        return _sum([(1.0, self.whole(batch)), (self.gamma, _table(batch, own))])


class Branches(_Added):
    """Several continuations from one turn, compared with each other.

    Of each group, `branches` rollouts are not played from the start but from a turn of one of the others, with the same
    world and prefix. The continuations from there, the first one included, are a group of their own:
    A_it = A_i + gamma * (r_i normalised over the fork's continuations) for the turns after the fork; a branch has
    A_i = 0, since it is no fair sample of the group. Budget and entropy as in ARPO (Dong et al., arXiv 2507.19849), the
    estimate as in VinePPO (Kazemnejad et al., arXiv 2410.01679).
    """

    kind: Literal["branches"] = "branches"
    """Which scheme."""
    branches: PositiveInt = 2
    """How many rollouts of a group are branches; two at least are played from the start."""
    choose: Literal["entropy", "divergence", "random"] = "random"
    """The turn: the one with the highest surprisal a token, the first in which the group's rollouts differ, or any."""
    gamma: FiniteFloat = 1.0
    """Weight of the comparison of continuations."""
    outcome: Whole = "grpo"
    """The rollout's advantage that is added to; not the trainer's, which takes branches for fair samples."""
    baseline: Baseline = "grpo"
    """How continuations are compared."""

    @property
    def needs(self) -> frozenset[Need]:
        """What has to be measured for it."""
        return super().needs | {"branches"}

    def advantages(self, batch: Sequence[Rollout]) -> Advantages:
        """Return the rollouts' advantages plus those of continuations among their like."""
        places = [(i, each.fork) for i, each in enumerate(batch) if each.fork is not None and each.value is not None]
        found = _compared(places, lambda index: batch[index].value or 0.0, self.baseline)
        after = [
            [found.get(i, 0.0) * (turn >= rollout.forked_at) for turn in range(rollout.turns)]
            for i, rollout in enumerate(batch)
        ]
        return _sum([(1.0, self.whole(batch)), (self.gamma, after)])


AnyScheme = Annotated[
    Trajectory | Blame | Outcome | Turns | Calls | GroupInGroup | LeaveOneOut | Branches, Field(discriminator="kind")
]


class _Credit(Settings):
    """What is read as credit."""

    credit: tuple[AnyScheme, ...]


def schemes_of(credit: Any, source: str = "credit") -> tuple[AnyScheme, ...]:
    """Read schemes.

    Args:
        credit: A name, a mapping `{kind: ..., ...}`, or several of these, which are added up with their weights.
        source: Where it comes from, for messages.

    Raises:
        ConfigurationError: If there is no such scheme or setting, or schemes do not go together.
    """
    schemes = parse_settings(_Credit, {"credit": listed(credit)}, source).credit
    try:
        check(schemes)
    except ValueError as error:
        raise ConfigurationError(f"{source}: {error}") from None
    return schemes


def listed(credit: Any) -> Any:
    """Return credit as a list of mappings, whether it is a name, a mapping or several."""
    items = credit if isinstance(credit, list | tuple) else [credit]
    return [{"kind": item} if isinstance(item, str) else item for item in items]


def check(schemes: Sequence[Scheme]) -> None:
    """Raise ValueError unless schemes go together."""
    if not schemes:
        raise ValueError("no scheme of credit; the usual one is `trajectory`")
    kinds = [type(scheme) for scheme in schemes]
    for kind in (Branches, LeaveOneOut):
        if kinds.count(kind) > 1:
            raise ValueError(f"{kind.model_fields['kind'].default} can be given once only")
    if Branches not in kinds:
        return
    for scheme in schemes:
        if isinstance(scheme, Trajectory | Blame) or (isinstance(scheme, _Added) and scheme.outcome == "trajectory"):
            name = getattr(scheme, "kind", "")
            raise ValueError(
                f"with branches, {name!r} cannot use the trainer's advantage, which takes branches for fair samples; "
                "use grpo, dr_grpo, rloo, or `outcome: grpo`"
            )


def combined(schemes: Iterable[Scheme], batch: Sequence[Rollout]) -> Advantages:
    """Return the weighted sum of what schemes give; zeros for rollouts without a reward and for shared turns."""
    total = _sum([(scheme.weight, scheme.advantages(batch)) for scheme in schemes])
    return [
        [value if rollout.value is not None and turn in rollout.own else 0.0 for turn, value in enumerate(advantages)]
        for rollout, advantages in zip(batch, total, strict=True)
    ]


def unseen_components(schemes: Iterable[Scheme], batch: Sequence[Rollout]) -> dict[str, list[str]]:
    """Return components that schemes weigh and no rollout has, with those there are; nothing if none were watched."""
    seen = sorted({name for rollout in batch for components in rollout.components for name in components})
    asked = {name for scheme in schemes if isinstance(scheme, _ByTurns) for name in scheme.components or ()}
    return dict.fromkeys(sorted(asked - set(seen)), seen) if seen else {}


# --- arithmetic --------------------------------------------------------------------------------------------


def _counts(rollout: Rollout) -> bool:
    return rollout.value is not None and not rollout.branch


def _turns(batch: Sequence[Rollout]) -> list[tuple[int, int]]:
    """Return rollout and number of all turns that may get credit."""
    return [(i, t) for i, rollout in enumerate(batch) if rollout.value is not None for t in rollout.own]


def _compared(
    places: Iterable[tuple[_Place, Hashable]], value: Callable[[_Place], float], baseline: Baseline
) -> dict[_Place, float]:
    """Return the values of places, each relative to those of its group."""
    groups: dict[Hashable, list[_Place]] = {}
    for place, group in places:
        groups.setdefault(group, []).append(place)
    return {
        place: advantage
        for members in groups.values()
        for place, advantage in zip(members, normalised([value(each) for each in members], baseline), strict=True)
    }


def _table(batch: Sequence[Rollout], found: Mapping[tuple[int, int], float]) -> Advantages:
    return [[found.get((i, turn), 0.0) for turn in range(rollout.turns)] for i, rollout in enumerate(batch)]


def _sum(parts: Sequence[tuple[float, Advantages]]) -> Advantages:
    weights = [weight for weight, _ in parts]
    return [
        [
            math.fsum(weight * value for weight, value in zip(weights, values, strict=True))
            for values in zip(*rows, strict=True)
        ]
        for rows in zip(*(advantages for _, advantages in parts), strict=True)
    ]


def _situation(rollout: Rollout, turn: int, same: str) -> Hashable:
    state, told = rollout.situations[turn]
    return (state, told) if same == "observed" else state


def _differences(rollout: Rollout, weights: Mapping[str, float] | None) -> list[float]:
    """Return by how much each turn raised the weighted components."""
    names = sorted({name for components in rollout.components for name in components})
    weights = {name: 1 / len(names) for name in names} if weights is None else weights
    rewards, known = [0.0] * rollout.turns, dict(rollout.components[0]) if rollout.components else {}
    for turn, components in enumerate(rollout.components[1:]):
        rises = (
            weights[name] * (components.get(name, known.get(name, 0.0)) - known.get(name, 0.0)) for name in weights
        )
        rewards[turn] = math.fsum(rises)
        known.update(components)
    return rewards
