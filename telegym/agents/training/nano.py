"""The nano policy: a model of the Qwen3 architecture with one or two million parameters, and its tokenizer.

It is built from nothing: the tokenizer is trained on the texts of demonstrations, the weights are drawn and learnt. It
knows its tools from training, not from a prompt; that is what makes it small enough to be trained on two cores.
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from telegym.agents.training.recipe import ShapeSettings

__all__ = ["chat_template", "new_model", "save", "train_tokenizer"]

_CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_MARKS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>")
_PIECES = "|".join(
    (
        r"\p{N}",
        r"""\n?(?:[\]}"]*(?:, )?[\[{]*"[a-z_0-9]+": )+[\[{]*"?""",
        r"\n?\p{Lu}[\p{L}\-]+(?: \p{Lu}[\p{L}\-]*)*(?: \([\p{L} ]+\))?: ",
        r" ?[\p{L}_]+",
        r"[^\p{L}\p{N}_]+",
    )
)
"""What may become one token at most: a digit (so that numbers can be copied), the key of a JSON object with the
punctuation around it, the label of a status line, a word or the name of a tool, punctuation with the spaces around it."""


def chat_template() -> str:
    """Return the chat template: Qwen3's, without thoughts, so that what is rendered never changes afterwards."""
    return importlib.resources.files("telegym.agents.training").joinpath("chat_template.jinja").read_text("utf-8")


def train_tokenizer(texts: Iterable[str], size: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer.

    Args:
        texts: What to learn from; control tokens in them are left aside.
        size: Tokens, the control tokens included.
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
        vocab_size=size - len(_MARKS),
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
    fast.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in _MARKS])
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
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Qwen3ForCausalLM(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def save(model: Any, tokenizer: PreTrainedTokenizerBase, folder: str | Path) -> None:
    """Write model and tokenizer in the transformers format, weights in half precision."""
    weights = {name: tensor.detach().half().contiguous() for name, tensor in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    model.save_pretrained(folder, state_dict=weights)
    tokenizer.save_pretrained(str(folder))


def _between_marks(text: str) -> list[str]:
    return [piece for piece in re.split("|".join(map(re.escape, (*_CONTROL, *_MARKS))), text) if piece]
