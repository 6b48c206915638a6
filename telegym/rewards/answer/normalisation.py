"""How texts are compared: up to case, spaces and compatible characters, with all symbols kept.

Normalisations that drop symbols make different formulas equal (`N*I/L` and `N/I*L`, λ and µ); this one does not.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["bare", "comparable"]

_SPACES = re.compile(r"\s+")
_WRAPPED = re.compile(
    r"\A(?:\$+(?P<dollars>[^$]*)\$+|\*\*(?P<bold>[^*]+)\*\*|`+(?P<code>[^`]+)`+|\"(?P<double>[^\"]*)\"|“(?P<curly>[^”]*)”"
    r"|\\boxed\{(?P<box>.*)\}|\\(?:text|mathrm|mathbf|textbf)\{(?P<latex>[^{}]*)\})\Z",
    re.DOTALL,
)


def comparable(text: str) -> str:
    """Return a text under Unicode NFKC, case-folded, with single spaces."""
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())).strip()


def bare(text: str) -> str:
    r"""Return a text without what is merely around it: spaces, `$…$`, `**…**`, quotes, `\boxed{…}`, a final stop."""
    text = text.strip()
    while True:
        match = _WRAPPED.match(text)
        inner = next((group for group in match.groups() if group is not None), None) if match else None
        shorter = (inner if inner is not None else text.removesuffix(".")).strip()
        if shorter == text or not shorter:
            return text
        text = shorter
