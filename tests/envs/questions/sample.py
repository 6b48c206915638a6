"""A file of questions like TeleQnA's, with one of each anomaly; the questions were written for the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def row(question: str, *options: str, answer: int | str = 1, category: str = "Lexicon") -> dict[str, Any]:
    """Return a row; the answer is given by its number, or as it is to be written."""
    written = answer if isinstance(answer, str) else f"option {answer}: {options[answer - 1]}"
    numbered = {f"option {number}": text for number, text in enumerate(options, start=1)}
    return {
        "question": question,
        **numbered,
        "answer": written,
        "explanation": f"Because {written.partition(': ')[2]}.",
        "category": category,
    }


ROWS: dict[str, Any] = {
    "question 0": row("What does a lamp do?", "It shines", "It rings", "It swims", "It sings"),
    "question 1": row("What does a bell do? [3GPP Release 17]", "It shines", "It rings", "It sings", answer=2),
    "question 2": row("What is red?", "Roses", "Grass", "All of the above", "None of the above", category="Colours"),
    "question 3": row("What is green?", "Roses", "Grass", "Both option 1 and option 2", answer=2, category="Colours"),
    "question 4": row("Which of the following is wet?", "Rain", "Sand", "Dust", "Ash", "Stone"),
    "question 5": row("What is NOT wet?", "Rain", "Sand", "Sea", answer=2),
    "question 6": row("How many legs has a hen?", "4", "2", "6", "8", answer=2),
    "question 7": row("What barks?", "A dog", "A cat", "a  CAT", "A cow"),
    "question 8": row("What purrs?", "A dog", "A cat", "A Cat", "A cow", answer=2),
    "question 9": row("Research Papers", "one", "two"),
    "question 10": row("What grows here?", "Higher error", "Lower cost", answer="option 1: Higher accuracy"),
    "question 11": row("What is a hub?", "A wheel's centre", "A net", "A town", answer="option 3: A net"),
    "question 12": row(
        "What is V2I?", "Vehicle-to-infrastructure (V2I)", "x", answer="option 1: Vehicle-to-infrastructure(V2I)"
    ),
    "question 13": row("What flies?", "A bird", "A stone", answer="A bird"),
    "question 14": row(" What does a LAMP do ? ", "It glows", "It falls", category="Colours"),
    "question 15": row("What does a fire do?", "It sings", "It shines", "It rings", "It swims", answer=2),
    "question 16": row("What is H?", "H=N*I/L", "H=N/I*L", "λ", "µ"),
    "question 17": {"question": "No options?", "answer": "option 1: x", "category": "Lexicon"},
    "question 18": "not a row",
    "question 19": row("Out of range?", "x", "y", answer="option 5: z"),
}


def write(folder: Path, rows: Any = None, name: str = "TeleQnA.txt", encoding: str = "utf-8") -> str:
    """Write rows to a file, and return its path."""
    path = folder / name
    text = json.dumps(ROWS if rows is None else rows, ensure_ascii=False, indent=1)
    path.write_bytes(text.replace("\n", "\r\n").encode(encoding))
    return str(path)
