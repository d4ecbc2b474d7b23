"""Training files: what becomes of each form, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the convert extra")

from edgebert.bundle.schema import Task
from edgebert.compress.distillation.examples import Example, ExampleFile
from edgebert.compress.distillation.losses import UNLABELLED
from edgebert.convert.evaluation.texts import EvalColumns
from edgebert.errors import DataError
from edgebert.runtime.tokenization import TextTokenizer
from tests.runtime import tiny

CLASSIFIER = Task("text-classification", "single_label_classification", ("bad", "fine", "good"))
TAGGER = Task("token-classification", None, ("O", "B-X", "I-X"))
QUESTIONS = Task("question-answering", None, ())
MASKED = Task("fill-mask", None, (), {"mask_token": "[MASK]", "clean_up_tokenization_spaces": False})


def tokenizer(max_length: int = 64) -> TextTokenizer:
    return TextTokenizer(tiny.tokenizer_json(), max_length=max_length, pad_id=0)


def read(path: Path, task: Task, *, max_length: int = 64, **columns: str) -> list[Example]:
    return list(ExampleFile(path, task, tokenizer(max_length), EvalColumns(**columns)))


def refusal(path: Path, task: Task, **columns: str) -> str:
    with pytest.raises(DataError) as caught:
        read(path, task, **columns)
    assert caught.value.hint
    return str(caught.value)


def words(example: Example) -> list[str]:
    reader = tokenizer()
    return [reader.token(token) for token in example.ids.tolist()]


def file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tsv", "sentence\tlabel\ngood film\tgood\ndull plot\t0\n"),
        ("a.csv", "text,label\ngood film,Good\ndull plot,bad\n"),
        ("a.jsonl", '{"text": "good film", "label": 2}\n{"text": "dull plot", "label": "bad"}\n'),
    ],
)
def test_labelled_texts(name: str, text: str, tmp_path: Path) -> None:
    first, second = read(file(tmp_path, name, text), CLASSIFIER)
    assert words(first) == ["[CLS]", "good", "film", "[SEP]"] and words(second)[1:-1] == ["dull", "plot"]
    assert (first.labels.tolist(), second.labels.tolist()) == ([2], [0])


@pytest.mark.parametrize(("name", "text"), [("a.tsv", "text\ngood film\n"), ("a.txt", "good film\n\n")])
def test_texts_without_labels(name: str, text: str, tmp_path: Path) -> None:
    (only,) = read(file(tmp_path, name, text), CLASSIFIER)
    assert words(only) == ["[CLS]", "good", "film", "[SEP]"] and only.labels.tolist() == [UNLABELLED]


def test_pairs_and_named_columns(tmp_path: Path) -> None:
    path = file(tmp_path, "a.tsv", "one\ttwo\tlabel\tother\ngood film\tdull plot\tx\tfine\n")
    (only,) = read(path, CLASSIFIER, text="one", pair="two", label="other")
    assert words(only) == ["[CLS]", "good", "film", "[SEP]", "dull", "plot", "[SEP]"] and only.labels.tolist() == [1]


def test_a_long_text_is_cut(tmp_path: Path) -> None:
    (only,) = read(file(tmp_path, "a.txt", "good film " * 20), CLASSIFIER, max_length=8)
    assert len(only.ids) == 8 and words(only)[-1] == "[SEP]"


def test_labels_that_the_teacher_does_not_have(tmp_path: Path) -> None:
    path = file(tmp_path, "a.tsv", "text\tlabel\ngood film\tgood\ndull plot\tawful\n")
    assert refusal(path, CLASSIFIER) == (
        f"{path}, line 3: unknown label 'awful' in column 'label'. Allowed: bad, fine, good; or 0 to 2."
    )


def test_tags_of_words(tmp_path: Path) -> None:
    path = file(tmp_path, "a.conll", "the O\njourney B-X\nsoso I-X\n\nfilm O\n")
    first, second = read(path, TAGGER)
    tokens = words(first)
    assert tokens[1:3] == ["the", "journey"] and tokens[3] == "s"
    # Of a word in pieces the first alone has the tag.
    assert first.labels.tolist() == [UNLABELLED, 0, 1, 2, *[UNLABELLED] * (len(tokens) - 4)]
    assert second.labels.tolist() == [UNLABELLED, 0, UNLABELLED]
    assert "unknown tag 'B-Y'" in refusal(file(tmp_path, "b.conll", "the B-Y\n"), TAGGER)


def test_a_long_sentence_is_tagged_in_pieces(tmp_path: Path) -> None:
    path = file(tmp_path, "a.conll", "".join(f"{word} {tag}\n" for word, tag in [("good", "B-X"), ("film", "O")] * 6))
    pieces = read(path, TAGGER, max_length=7)
    assert [len(piece.ids) for piece in pieces] == [7, 7, 4]
    assert [label for piece in pieces for label in piece.labels.tolist() if label != UNLABELLED] == [1, 0] * 6


def questions(folder: Path, *rows: dict) -> Path:
    return file(folder, "a.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))


def test_the_place_of_an_answer(tmp_path: Path) -> None:
    context = "the film is good, the plot is dull"
    rows = [
        {"question": "the plot", "context": context, "answers": {"text": ["dull"], "answer_start": [30]}},
        {"question": "the plot", "context": context, "answers": {"text": ["the"], "answer_start": [18]}},
        {"question": "the plot", "context": context, "answers": ["is good"]},
        {"question": "the plot", "context": context, "answers": []},
        {"question": "the plot", "context": context, "answers": ["elsewhere"]},
    ]
    found = []
    for example in read(questions(tmp_path, *rows), QUESTIONS):
        first, last = example.labels.tolist()
        found.append(" ".join(words(example)[first : last + 1]))
    assert found == ["dull", "the", "is good", "[CLS]", "[CLS]"]
    second = read(questions(tmp_path, *rows), QUESTIONS)[1]
    assert words(second)[second.labels[0] + 1] == "plot"  # not the first one


def test_a_window_without_the_answer_points_to_its_first_token(tmp_path: Path) -> None:
    row = {"question": "good", "context": "film " * 30 + "dull " + "plot " * 30, "answers": ["dull"]}
    windows = read(questions(tmp_path, row), QUESTIONS, max_length=20)
    with_answer = ["dull" in words(window) for window in windows]
    assert any(with_answer) and not all(with_answer)
    for window, there in zip(windows, with_answer, strict=True):
        first, last = window.labels.tolist()
        assert (words(window)[first] == "dull" and first == last) if there else (first, last) == (0, 0)


def test_texts_for_masking_lose_nothing(tmp_path: Path) -> None:
    path = file(tmp_path, "a.txt", "good film " * 10 + "\n\ndull plot\n")
    pieces = read(path, MASKED, max_length=9)
    assert [len(piece.ids) for piece in pieces] == [9, 9, 8, 4]
    assert all(len(piece.labels) == 0 for piece in pieces)
    inner = np.concatenate([piece.ids[1:-1] for piece in pieces])
    assert len(inner) == 22


def test_unusable_files(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "none.tsv", CLASSIFIER)
    assert "the file is empty" in refusal(file(tmp_path, "a.tsv", "\n\n"), CLASSIFIER)
    assert "no text column" in refusal(file(tmp_path, "b.tsv", "x\ty\n1\t2\n"), CLASSIFIER)
    assert "no column 'z'" in refusal(file(tmp_path, "c.tsv", "text\ngood\n"), CLASSIFIER, label="z")
    assert "could all be the label" in refusal(file(tmp_path, "d.tsv", "text\tlabel\tscore\na\t0\t1\n"), CLASSIFIER)
    assert "line 3" in refusal(file(tmp_path, "e.tsv", "text\tlabel\na\t0\nb\n"), CLASSIFIER)
    (tmp_path / "f.tsv").write_bytes(b"text\n\xff\n")
    assert "line 2: byte 0xff" in refusal(tmp_path / "f.tsv", CLASSIFIER)


def test_the_hash_is_that_of_the_file(tmp_path: Path) -> None:
    import hashlib

    path = file(tmp_path, "a.tsv", "text\tlabel\ngood\tgood\n")
    examples = ExampleFile(path, CLASSIFIER, tokenizer(), EvalColumns())
    assert len(list(examples)) == 1
    assert examples.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
