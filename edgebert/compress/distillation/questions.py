"""Questions to train on: SQuAD files with the place of the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgebert.convert.evaluation.squad import load_squad
from edgebert.convert.evaluation.tables import read_table, read_text

Span = tuple[int, int]
"""From which character to which."""


class QuestionFile:
    """A file that ``edgebert.convert.evaluation.squad.load_squad`` takes, read whole.

    Iterating gives ``{"question", "context"}`` and the characters of the context at which the first answer stands: at
    its ``answer_start``; where there is none, or other text stands there, where the answer first occurs. ``None`` for a
    question without an answer, or with one that the context does not hold.

    Attributes:
        sha256: the SHA-256 of the file's bytes.

    Raises:
        DataError: as ``load_squad``.
    """

    def __init__(self, path: Path) -> None:
        questions = load_squad(path)
        self.sha256 = questions.sha256
        self._items: list[dict[str, str]] = questions.inputs
        self._answers: list[Any] = _raw_answers(path)

    def __iter__(self) -> Iterator[tuple[dict[str, str], Span | None]]:
        for item, answers in zip(self._items, self._answers, strict=True):
            yield item, _span(item["context"], answers)


def _raw_answers(path: Path) -> list[Any]:
    """What ``answers`` holds for each question, in order; ``load_squad`` has accepted the file."""
    if path.suffix.lower() == ".jsonl":
        return [row.values["answers"] for row in read_table(path).rows]
    articles = json.loads(read_text(path).text)["data"]
    return [qa["answers"] for article in articles for paragraph in article["paragraphs"] for qa in paragraph["qas"]]


def _span(context: str, answers: Any) -> Span | None:  # noqa: ANN401 (any of SQuAD's forms)
    start: Any = None
    if isinstance(answers, dict):
        starts = answers.get("answer_start")
        answers = answers["text"]
        start = starts[0] if isinstance(starts, list) and starts else starts
    first = answers if isinstance(answers, str) else answers[0] if answers else None
    if isinstance(first, dict):
        start, first = first.get("answer_start"), first["text"]
    if first is None:
        return None
    if type(start) is not int or start < 0 or not context.startswith(first, start):
        start = context.find(first)
    return (start, start + len(first)) if start >= 0 else None
