"""verl's agent loop, for verl 0.9.1: plays an episode with verl's servers and hands the transcript to its trainer.

verl makes one object for each rollout, from an entry of the file that `actor_rollout_ref.rollout.agent.
agent_loop_config_path` names (`telegym launch write verl` writes one).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import uuid4

from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopOutput

from telegym.agents.prompting import ChatCodec, PromptProfile
from telegym.agents.verl.playing import Played, Sampled, play_one
from telegym.agents.verl.reward import FIELD, figures, weighted
from telegym.agents.verl.tasks import AGENT_NAME, episode_of
from telegym.core.episode import EndReason, Episode
from telegym.core.errors import ConfigurationError, InfrastructureError, did_you_mean
from telegym.core.score import Failure, Score

__all__ = ["EpisodeAgentLoop"]

logger = logging.getLogger(__name__)

_OPTIONS: dict[str, Any] = {
    "prompt": {},
    "turn_tokens": 1024,
    "limits": {},
    "reward": {"value": 1.0},
    "components": [],
    "retries": 1,
    "defer": False,
}


class EpisodeAgentLoop(AgentLoopBase):
    """Plays one episode. The reward is its score; a rollout that failed technically has nothing to learn from.

    Args:
        trainer_config: verl's whole configuration.
        server_manager: Asks verl's servers.
        tokenizer: The model's.
        processor: Of images; not used.
        dataset_cls: Not used.
        data_config: verl's configuration of data.
        hf_model_type: Kind of model.
        tools: verl's own tools; not used, since the episode has its own.
        name: Name of the agent loop.
        options: `prompt`, what the model is told (`PromptProfile`); `turn_tokens`, the most tokens of a turn; `limits`,
            fields of `Limits`; `reward`, weights of the score's value and components; `components`, which are logged;
            `retries`, how often an episode that failed technically is played again; `defer`, whether verl's reward
            function gives the reward instead (`telegym.agents.verl.reward.compute_score`).

    Raises:
        ConfigurationError: If an option is unknown.
    """

    def __init__(
        self,
        trainer_config: Any,
        server_manager: Any,
        tokenizer: Any,
        processor: Any,
        dataset_cls: Any,
        data_config: Any,
        hf_model_type: str | None = None,
        tools: Any = None,
        name: str = AGENT_NAME,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            trainer_config, server_manager, tokenizer, processor, dataset_cls, data_config, hf_model_type=hf_model_type
        )
        self.name = name
        self.options = {**_OPTIONS, **_plain(options or {})}
        for option in self.options:
            if option not in _OPTIONS:
                valid = ", ".join(_OPTIONS)
                hint = did_you_mean(option, _OPTIONS)
                raise ConfigurationError(f"agent loop {name!r} has no option {option!r}; valid: {valid}.{hint}")
        self._codec = _codec(tokenizer, PromptProfile.model_validate(self.options["prompt"]).model_dump_json())
        self._told: dict[str, Any] = {}
        self._preempted: list[int | None] = []

    async def run(
        self, sampling_params: dict[str, Any], *, extra_info: Mapping[str, Any], priority: int = 0, **row: Any
    ) -> AgentLoopOutput:
        """Play the episode of a row.

        Args:
            sampling_params: verl's.
            extra_info: Which episode (`telegym.agents.verl.tasks`).
            priority: verl's place of the rollout in the batch.
            **row: The other columns of the row.
        """
        for attempt in range(self.options["retries"] + 1):
            played, episode = await self._play(sampling_params, extra_info, int(priority))
            score = episode.score()
            if score.value is not None and played is not None:
                return self._output(played, score)
            reason = score.failure.message if score.failure is not None else "unknown"
            logger.warning("task %s, attempt %d failed: %s", episode.task.id, attempt + 1, reason)
        return self._failed(episode, score)

    async def _play(
        self, sampling_params: Mapping[str, Any], extra_info: Mapping[str, Any], priority: int
    ) -> tuple[Played | None, Episode]:
        """Play the episode, and say how it went; None where the server failed."""
        episode = episode_of(extra_info, self.options["limits"])
        rollout = self.rollout_config
        request = f"det-{priority}" if rollout.get("full_determinism", False) else uuid4().hex
        context = rollout.get("max_model_len") or rollout.prompt_length + rollout.response_length
        self._told, self._preempted = {}, []

        async def generate(history: list[int], room: int) -> Sampled:
            return await self._ask(request, history, {**sampling_params, "max_tokens": room})

        try:
            played = await play_one(
                self._codec,
                episode,
                generate,
                turn_tokens=self.options["turn_tokens"],
                prompt_tokens=rollout.prompt_length,
                completion_tokens=rollout.response_length,
                context=context,
            )
        except InfrastructureError as error:
            if not episode.done:
                failure = Failure(party="infrastructure", message=str(error))
                episode.truncate(EndReason.INFRASTRUCTURE, failure)
            return None, episode
        return played, episode

    async def _ask(self, request: str, history: list[int], sampling: dict[str, Any]) -> Sampled:
        sampling["stop_token_ids"] = sorted({*(sampling.get("stop_token_ids") or ()), *self._codec.stop_ids})
        answer = await self.server_manager.generate(request_id=request, prompt_ids=history, sampling_params=sampling)
        if answer.stop_reason == "aborted":
            raise InfrastructureError("verl's server aborted the request")
        first = {name: self._told[name] for name in ("min_global_steps",) if name in self._told}
        self._told = {**self._told, **answer.extra_fields, **first}
        self._preempted.append(answer.num_preempted)
        return Sampled(answer.token_ids, answer.log_probs or None)

    def _output(self, played: Played, score: Score) -> AgentLoopOutput:
        transcript = played.transcript
        logged = any(transcript.logprobs)
        preempted = [count for count in self._preempted if count is not None]
        return self._made(
            transcript.episode,
            score,
            prompt_ids=transcript.prompt,
            response_ids=transcript.completion,
            response_mask=transcript.mask,
            response_logprobs=transcript.logprobs if logged else None,
            reward_score=None if self.options["defer"] else weighted(score, self.options["reward"]),
            metrics={
                "generate_sequences": played.generation_seconds,
                "tool_calls": played.environment_seconds,
                "num_preempted": sum(preempted) if preempted else -1,
            },
        )

    def _failed(self, episode: Episode, score: Score) -> AgentLoopOutput:
        """Return a rollout of one token that nothing is learnt from."""
        return self._made(
            episode,
            score,
            prompt_ids=self._codec.prompt(episode)[: self.rollout_config.prompt_length],
            response_ids=list(self._codec.stop_ids[:1]),
            response_mask=[0],
            response_logprobs=[0.0] if self.rollout_config.get("calculate_log_probs", False) else None,
            reward_score=None if self.options["defer"] else 0.0,
            metrics={},
        )

    def _made(self, episode: Episode, score: Score, **fields: Any) -> AgentLoopOutput:
        extra = {
            **self._told,
            "turn_scores": [],
            "tool_rewards": [],
            "reward_extra_info": figures(episode, score, self.options["components"]),
            FIELD: score.model_dump_json(),
        }
        return AgentLoopOutput(num_turns=len(episode.agent_messages()), extra_fields=extra, **fields)


@lru_cache(maxsize=4)
def _codec(tokenizer: Any, profile: str) -> ChatCodec:
    """Return the codec that all rollouts of a process share."""
    return ChatCodec(tokenizer, PromptProfile.model_validate_json(profile))


def _plain(value: Any) -> Any:
    """Return settings as python values, where verl gives them as objects of its own."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value
