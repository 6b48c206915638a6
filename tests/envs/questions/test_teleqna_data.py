"""TeleQnA's file is read as it is, with what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from telegym.core.errors import ConfigurationError
from telegym.envs.questions.teleqna import split_of
from telegym.envs.questions.teleqna_data import Flag, Question, Status, TeleQnAFile, group_questions, read_teleqna

from .sample import ROWS, row, write

# What was counted in the published file of 10,000 rows; a file of fewer rows has a part of it.
ALL = 10_000
CATEGORIES = {
    "Research publications": 4500,
    "Research overview": 2000,
    "Standards specifications": 2000,
    "Standards overview": 1000,
    "Lexicon": 500,
}
OPTIONS_PER_ROW = {5: 6441, 4: 3456, 3: 87, 2: 16}
SOFT, CONFLICT, TWICE = {683, 4185, 4956}, {3780, 6783}, {390, 3426, 3661, 6037}
NO_QUESTION = {
    *(583, 1205, 1448, 1531, 1823, 2556, 2620, 2989, 3154, 3929, 4363, 5241, 5512),
    *(5629, 5818, 5925, 6715, 6904, 7309, 7655, 7957, 8233, 8256, 8280, 8349, 8590),
}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> TeleQnAFile:
    return read_teleqna(write(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def published(teleqna_data: Path) -> TeleQnAFile:
    return read_teleqna(teleqna_data)


def _numbers(ids: list[str]) -> set[int]:
    return {int(key.removeprefix("question ")) for key in ids}


def _by_number(file: TeleQnAFile) -> dict[int, Question]:
    return {int(question.id.removeprefix("question ")): question for question in file.questions}


def test_each_anomaly_is_seen(sample: TeleQnAFile) -> None:
    report = sample.report
    assert report.rows == 20
    assert {key: _numbers(ids) for key, ids in report.statuses.items()} == {
        Status.SOFT: {12},
        Status.TEXT_ONLY: {13},
        Status.CONFLICT: {10, 11, 19},
    }
    assert {key: _numbers(ids) for key, ids in report.flags.items()} == {
        Flag.ALL_OF_ABOVE: {2},
        Flag.NONE_OF_ABOVE: {2},
        Flag.OPTION_REFERENCE: {3},
        Flag.NEEDS_OPTIONS: {4},
        Flag.NEGATED: {5},
        Flag.NUMERIC: {6},
        Flag.DUPLICATE_OPTION: {7},
        Flag.DUPLICATE_ANSWER: {8},
        Flag.NO_QUESTION: {9},
        Flag.CONFLICT: {10, 11, 19},
    }
    assert _numbers(list(report.unreadable)) == {17, 18}
    assert "numbered from 1" in report.unreadable["question 17"]


def test_rows_are_read(sample: TeleQnAFile) -> None:
    found = _by_number(sample)
    assert (found[1].text, found[1].release) == ("What does a bell do?", "3GPP Release 17")
    assert found[1].answer_text == "It rings"
    assert (found[13].answer, found[12].answer) == (1, 1)
    assert [number for number, question in found.items() if not question.usable] == [8, 9, 10, 11, 19]
    assert [number for number, question in found.items() if not question.can_be_shuffled] == [2, 3]
    assert Flag.DUPLICATE_OPTION not in found[16].flags


def test_questions_of_equal_stem_or_options_are_one_group(sample: TeleQnAFile) -> None:
    groups = dict(zip((question.id for question in sample.questions), group_questions(sample.questions), strict=True))
    together = {"question 0", "question 14", "question 15"}
    assert len({groups[key] for key in together}) == 1
    assert groups["question 7"] == groups["question 8"]
    assert len(set(groups.values())) == len(groups) - 3


def test_groups_and_splits_depend_on_nothing_else(sample: TeleQnAFile) -> None:
    """A file with fewer questions puts those it has into the same splits."""
    everything = dict(zip(sample.questions, group_questions(sample.questions), strict=True))
    part = [question for question in sample.questions if question.id != "question 7"]
    for question, group in zip(part, group_questions(part), strict=True):
        assert split_of(group, 3) == split_of(everything[question], 3)


def test_shares_of_splits() -> None:
    drawn = [split_of(f"group {number}", 1) for number in range(5000)]
    for split, share in (("test", 0.2), ("rl", 0.16), ("train", 0.64)):
        assert drawn.count(split) / 5000 == pytest.approx(share, abs=0.02)  # type: ignore[arg-type]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_folders_marks_and_line_ends_do_not_matter(tmp_path: Path, encoding: str) -> None:
    write(tmp_path, encoding=encoding)
    assert len(read_teleqna(tmp_path).questions) == 18


def test_lists_and_lines_of_rows_are_read(tmp_path: Path) -> None:
    rows = [ROWS["question 0"], ROWS["question 5"]]
    first = read_teleqna(write(tmp_path, rows, "list.json"))
    lines = tmp_path / "lines.jsonl"
    lines.write_text("".join(f"{json.dumps(item)}\n" for item in rows), encoding="utf-8")
    assert read_teleqna(lines).questions == first.questions
    assert [question.id for question in first.questions] == ["question 0", "question 1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "is no JSON"),
        ("{}", "holds no question"),
        ("5", "holds no question"),
        ('{"question 0": {}, "question 0": {}}', "occurs 2 times"),
        ('{"a": 1}\n{"b": }', "line 2"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        read_teleqna(path)


def test_a_missing_file_says_where_it_is_published(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="netop-team/TeleQnA"):
        read_teleqna(tmp_path / "none.txt")


@pytest.mark.parametrize(
    "options", [("x",), ("x", ""), ("x", 5)], ids=["one option", "an empty option", "an option that is no text"]
)
def test_a_bad_row_does_not_stop_the_others(tmp_path: Path, options: tuple[object, ...]) -> None:
    bad: dict[str, object] = {"question": "What?", "answer": "option 1: x", "category": "c"}
    bad |= {f"option {number}": text for number, text in enumerate(options, start=1)}
    file = read_teleqna(write(tmp_path, {"question 0": bad, "question 1": row("Who?", "a", "b")}))
    assert [question.id for question in file.questions] == ["question 1"]
    assert set(file.report.unreadable) == {"question 0"}


def test_the_published_file_has_the_known_anomalies(published: TeleQnAFile) -> None:
    there = set(_by_number(published))
    report = published.report
    assert report.unreadable == {}
    assert {key: _numbers(ids) for key, ids in report.statuses.items()} == {
        Status.SOFT: SOFT & there,
        Status.CONFLICT: CONFLICT & there,
    }
    assert _numbers(report.flags[Flag.DUPLICATE_ANSWER]) == TWICE & there
    assert _numbers(report.flags[Flag.NO_QUESTION]) == NO_QUESTION & there
    unusable = {number for number, question in _by_number(published).items() if not question.usable}
    assert unusable == (CONFLICT | TWICE | NO_QUESTION) & there


def test_the_published_file_has_the_known_counts(published: TeleQnAFile) -> None:
    """A part of the file has a part of each count, about as large as the part."""
    report = published.report
    share = report.rows / ALL
    exact = report.rows == ALL
    referring = sum(not question.can_be_shuffled for question in published.questions)
    known = {
        **{name: (report.categories[name], count) for name, count in CATEGORIES.items()},
        **{f"{count} options": (report.options_per_row[count], rows) for count, rows in OPTIONS_PER_ROW.items()},
        "options": (report.options, 46_322),
        "all of the above": (len(report.flags[Flag.ALL_OF_ABOVE]), 824),
        "none of the above": (len(report.flags[Flag.NONE_OF_ABOVE]), 647),
        "referring": (referring, 1205),
        "3GPP Release 18": (sum(question.release == "3GPP Release 18" for question in published.questions), 780),
        "IEEE C95.1": (sum(question.release == "IEEE C95.1" for question in published.questions), 130),
    }
    for name, (found, whole) in known.items():
        slack = 0.02 * whole if exact else 4 * (whole * share * (1 - share)) ** 0.5 + 0.02 * whole
        assert abs(found - whole * share) <= slack, f"{name}: {found} of {whole} in {share:.0%} of the file"


def test_the_published_questions_are_split_without_leaks(published: TeleQnAFile) -> None:
    usable = [question for question in published.questions if question.usable]
    groups = group_questions(usable)
    splits = [split_of(group, 0) for group in groups]
    assert splits.count("test") / len(usable) == pytest.approx(0.2, abs=0.015)
    stems: dict[str, set[str]] = {}
    for question, split in zip(usable, splits, strict=True):
        stems.setdefault(" ".join(question.text.casefold().split()), set()).add(split)
    assert all(len(found) == 1 for found in stems.values())
