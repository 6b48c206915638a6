"""The nano policy: a model of the Qwen3 architecture with one or two million parameters, and its tokenizer.

It is built from nothing: the tokenizer is trained on the texts of demonstrations, the weights are drawn and learnt. It
knows its tools from training, not from a prompt; that is what makes it small enough to be trained on two cores.
"""

from __future__ import annotations

import importlib.resources
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from telegym.agents.training.recipe import ShapeSettings

__all__ = ["chat_template", "new_model", "save", "train_tokenizer"]

_CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_MARKS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>")
_NUMBERS: dict[int, tuple[str, ...]] = {
    2: (
        *(f"{number:03}-" for number in range(1000)),
        *(f"{letter}{number:02}" for letter in "CLBPD" for number in range(100)),
    ),
    4: (*(f"{number:03}" for number in range(1000)), *(f"{number:04}" for number in range(10_000))),
}
"""Numbers that are tokens of their own: rare in a conversation, they are easily found again. With two digits these are
the beginnings of phone numbers and ids, and what follows them is copied; with four, whole ids can be told apart."""
_QUIET = 0.1
_PIECES = "|".join(
    (
        r"\p{N}{1,2}",
        r"""\n?(?:[\]}"]*(?:, )?[\[{]*"[a-z_0-9]+": )+[\[{]*"?""",
        r"\n?\p{Lu}[\p{L}\-]+(?: \p{Lu}[\p{L}\-]*)*(?: \([\p{L} ]+\))?: ",
        r" ?[\p{L}_]+",
        r"[^\p{L}\p{N}_]+",
    )
)
"""What may become one token at most: two digits, the key of a JSON object with the punctuation around it, the label of
a status line, a word or the name of a tool, punctuation with the spaces around it."""


def chat_template() -> str:
    """Return the chat template: Qwen3's, without thoughts, so that what is rendered never changes afterwards."""
    return importlib.resources.files("telegym.agents.training").joinpath("chat_template.jinja").read_text("utf-8")


def train_tokenizer(texts: Iterable[str], size: int, digits: int = 2) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer.

    Args:
        texts: What to learn from; control tokens in them are left aside.
        size: Tokens, the control tokens included.
        digits: The most digits in a token, 2 or 4; see `ShapeSettings.digits`.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(_MARKS) - len(_NUMBERS[digits]),
        special_tokens=list(_CONTROL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((piece for text in texts for piece in _between_marks(text)), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    fast.add_tokens([AddedToken(text, special=False, normalized=False) for text in (*_MARKS, *_NUMBERS[digits])])
    fast.chat_template = chat_template()
    return fast


def new_model(tokenizer: PreTrainedTokenizerBase, shape: ShapeSettings, seed: int) -> Qwen3ForCausalLM:
    """Return a model with fresh weights; the global random state is left as it was."""
    config = Qwen3Config(
        vocab_size=-(-len(tokenizer) // 8) * 8,
        hidden_size=shape.hidden,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.shared_heads,
        head_dim=shape.head_size,
        max_position_embeddings=shape.context,
        initializer_range=shape.initializer_range,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000_000.0},
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Qwen3ForCausalLM(config)
        _arrange(model, numbers(tokenizer), shape.look_back)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


@torch.no_grad()
def _arrange(model: Qwen3ForCausalLM, rare: dict[int, str], distances: Sequence[int]) -> None:
    """Arrange fresh weights so that the model copies from the start.

    Blocks begin by adding little to the residual stream. In the first layer, heads look at the token before, or at
    another distance; in the second, heads look for places where that token was the present one, and pass on what stood
    there: "what came after this token last time, what came two after it?" Left to itself, a model this small needs most
    of its training to find that. Tokens of one kind of number have something in common, so that a customer's id can be
    told from a line's.
    """
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.mul_(_QUIET)
        layer.mlp.down_proj.weight.mul_(_QUIET)
    first, second = (model.model.layers[number].self_attn for number in (0, 1))
    size, width = first.head_dim, model.config.hidden_size
    written = torch.linalg.qr(torch.randn(width, size * len(distances)))[0]
    read = torch.linalg.qr(torch.randn(width, size))[0].T
    read -= read @ written @ written.T
    _look_back(model, first, distances)
    kinds = {kind: torch.randn(width - 1) for kind in sorted(set(rare.values()))}
    for token, kind in rare.items():
        model.model.embed_tokens.weight[token, 1:] += model.config.initializer_range * kinds[kind]
    groups = model.config.num_attention_heads // model.config.num_key_value_heads
    places = written.split(size, 1)
    for number, place in enumerate(places):
        heads = slice(number * groups * size, (number + 1) * groups * size)
        first.v_proj.weight[number * size : (number + 1) * size] = read
        first.o_proj.weight[:, heads] = torch.cat([place] * groups, 1) * 2 * model.config.initializer_range
    _look_for(model, second, read, places)
    model.model.norm.weight.fill_(2.0)


def _look_for(model: Qwen3ForCausalLM, attention: Any, read: torch.Tensor, places: Sequence[torch.Tensor]) -> None:
    """Make heads attend to where the present token was one of the tokens before, and pass on what stands there."""
    size, width = read.shape
    shared = model.config.num_key_value_heads
    groups = model.config.num_attention_heads // shared
    steady = [index for index in range(size) if index % (size // 2) >= size * 7 // 32]
    query, keys = torch.zeros(size, width), [torch.zeros(size, width) for _ in range(shared)]
    query[steady] = read[steady]
    for number, key in enumerate(keys):
        key[steady] = places[number % len(places)].T[steady]
    written = torch.cat(list(places), 1)
    fresh = torch.randn(width, size * shared)
    if written.shape[1] + fresh.shape[1] <= width:
        fresh = fresh - written @ written.T @ fresh
    passed = torch.linalg.qr(fresh)[0]
    attention.q_proj.weight[:] = query.repeat(model.config.num_attention_heads, 1)
    attention.k_proj.weight[:] = torch.cat(keys)
    attention.v_proj.weight[:] = passed.T
    heads = passed.split(size, 1)
    attention.o_proj.weight[:] = torch.cat([head for head in heads for _ in range(groups)], 1) * 0.1
    attention.q_norm.weight.fill_(4.0)


def _look_back(model: Qwen3ForCausalLM, attention: Any, distances: Sequence[int]) -> None:
    """Make heads attend to a token before, by the rotation that its distance gives."""
    size = attention.head_dim
    groups = model.config.num_attention_heads // model.config.num_key_value_heads
    model.model.embed_tokens.weight[:, 0] = 4 * model.config.initializer_range
    attention.q_norm.weight.fill_(8.0)
    for number, distance in enumerate(distances):
        heads = range(number * groups * size, (number + 1) * groups * size, size)
        _turned(model, attention.q_proj.weight, heads, 0.0)
        _turned(model, attention.k_proj.weight, [number * size], float(distance))


def _turned(model: Qwen3ForCausalLM, weight: torch.Tensor, starts: Iterable[int], turn: float) -> None:
    """Make heads produce a steady vector, turned as it is at a distance."""
    size = model.config.head_dim
    for start in starts:
        weight[start : start + size] *= 0.1
        for index in range(3):
            angle = turn * model.config.rope_parameters["rope_theta"] ** (-2 * index / size)
            weight[start + index, 0] = math.cos(angle)
            weight[start + index + size // 2, 0] = math.sin(angle)


def numbers(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """Return the tokens that stand for digits, and their kind: the text with every digit as `0`."""
    texts = {index: tokenizer.decode([index]) for index in range(len(tokenizer))}
    kinds = {index: re.sub(r"\d", "0", text) for index, text in texts.items() if len(text) <= 5}
    return {index: kind for index, kind in kinds.items() if "0" in kind}


def parameter_groups(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase, rate: float) -> list[dict[str, Any]]:
    """Return parameters with learning rates that leave intact what `new_model` arranged.

    The two copying layers learn slowly, and the embeddings of digits stay as they were drawn: an optimizer that takes
    steps of equal size would move rare tokens all the same way, until they are not distinct any more.
    """
    embeddings = model.model.embed_tokens.weight
    learnt = torch.ones(len(embeddings), 1)
    learnt[list(numbers(tokenizer))] = 0.0
    embeddings.register_hook(lambda gradient: gradient * learnt)
    slow = [p for layer in model.model.layers[:2] for p in layer.self_attn.parameters() if p.ndim == 2]
    kept = {id(parameter) for parameter in slow}
    others = [parameter for parameter in model.parameters() if id(parameter) not in kept]
    return [{"params": others, "lr": rate}, {"params": slow, "lr": rate / 4}]


def save(model: Any, tokenizer: PreTrainedTokenizerBase, folder: str | Path) -> None:
    """Write model and tokenizer in the transformers format, weights in half precision."""
    weights = {name: tensor.detach().half().contiguous() for name, tensor in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    model.save_pretrained(folder, state_dict=weights)
    tokenizer.save_pretrained(str(folder))


def _between_marks(text: str) -> list[str]:
    return [piece for piece in re.split("|".join(map(re.escape, (*_CONTROL, *_MARKS))), text) if piece]
