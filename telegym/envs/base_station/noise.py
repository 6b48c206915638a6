"""Randomness without state: every random number is a hash of what it is for.

A number depends on the seed and the names it is asked with, and on nothing else: not on the order of questions, not on
earlier ones, not on the machine. So a history read twice is the same, and a fork of a world goes on as the original.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["choice", "integer", "lognormal", "mix", "normal", "normals", "shuffled", "uniform", "uniforms"]

_T = TypeVar("_T")
_SCALE = 1.0 / (1 << 53)
_NORMAL = NormalDist()


@lru_cache(maxsize=65_536)
def mix(seed: int, *keys: str | int) -> int:
    """Return 64 well-mixed bits for a seed and names."""
    text = "/".join((str(seed), *map(str, keys)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def uniform(seed: int, *keys: str | int) -> float:
    """Return a number in [0, 1)."""
    return (mix(seed, *keys) >> 11) * _SCALE


def normal(seed: int, *keys: str | int) -> float:
    """Return a number of the standard normal distribution."""
    return _NORMAL.inv_cdf(max(uniform(seed, *keys), _SCALE))


def lognormal(median: float, sigma: float, seed: int, *keys: str | int) -> float:
    """Return a number whose logarithm is normal around that of `median` with standard deviation `sigma`."""
    return median * math.exp(sigma * normal(seed, *keys))


def integer(low: int, high: int, seed: int, *keys: str | int) -> int:
    """Return a whole number from `low` to `high`, both included."""
    return low + mix(seed, *keys) % (high - low + 1)


def choice(options: Sequence[_T], seed: int, *keys: str | int) -> _T:
    """Return one of the options, each as likely as the others."""
    return options[mix(seed, *keys) % len(options)]


def shuffled(items: Sequence[_T], seed: int, *keys: str | int) -> list[_T]:
    """Return the items in a random order."""
    order = sorted(range(len(items)), key=lambda index: (mix(seed, *keys, index), index))
    return [items[index] for index in order]


def _bits(seed: int, key: str, count: int) -> NDArray[np.uint64]:
    """Return well-mixed bits, one for each index: SplitMix64 of a counter (Steele, Lea and Flood, 2014)."""
    start = np.uint64(mix(seed, key))
    with np.errstate(over="ignore"):
        value = start + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return value ^ (value >> np.uint64(31))


def uniforms(seed: int, key: str, count: int) -> NDArray[np.float64]:
    """Return numbers in [0, 1)."""
    return (_bits(seed, key, count) >> np.uint64(11)).astype(np.float64) * _SCALE


@lru_cache(maxsize=1)
def _normal_table() -> NDArray[np.float64]:
    """Quantiles of the standard normal distribution: looked up, so that no library's rounding shows."""
    return np.array([round(_NORMAL.inv_cdf((index + 0.5) / 16_384), 9) for index in range(16_384)])


def normals(seed: int, key: str, count: int) -> NDArray[np.float64]:
    """Return numbers of the standard normal distribution, at a resolution of 16,384 quantiles."""
    return _normal_table()[(_bits(seed, key, count) & np.uint64(16_383)).astype(np.intp)]
