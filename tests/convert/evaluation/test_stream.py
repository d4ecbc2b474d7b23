"""A corpus is read as the tables are, one text after the other."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgebert.convert.evaluation.lines import MAX_LINE_BYTES
from edgebert.convert.evaluation.stream import TextStream
from edgebert.convert.evaluation.texts import EvalColumns, load_eval
from edgebert.errors import DataError

TEXT = st.text(
    alphabet=st.characters(codec="utf-8", exclude_characters="\t\r\n\x1c\x1d\x1e\x85\u2028\u2029"), min_size=1
).filter(lambda text: text.strip() == text and not text.startswith("\ufeff"))


def stream(path: Path, **columns: str) -> TextStream:
    return TextStream(path, EvalColumns(**columns))


@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".jsonl"])
@given(texts=st.lists(TEXT, min_size=1, max_size=5), crlf=st.booleans(), bom=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
def test_the_texts_that_the_evaluation_reads(
    tmp_path: Path, suffix: str, texts: list[str], crlf: bool, bom: bool
) -> None:
    path = tmp_path / f"file{suffix}"
    if suffix == ".tsv":
        lines = ["sentence\tlabel", *(f"{text}\t1" for text in texts)]
    elif suffix == ".csv":
        lines = ["sentence,label", *('"{}",1'.format(text.replace('"', '""')) for text in texts)]
    else:
        lines = [json.dumps({"sentence": text, "label": 1}) for text in texts]
    end = "\r\n" if crlf else "\n"
    path.write_bytes((end.join(lines) + end).encode("utf-8-sig" if bom else "utf-8"))
    source = stream(path)
    expected = load_eval(path, ["no", "yes"], problem_type="single_label_classification")
    assert list(source) == expected.inputs == texts
    assert source.sha256 == expected.sha256
    assert source.texts == len(texts)
    assert list(source) == texts  # and once more


def test_lines_of_plain_text(tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_bytes(b"\xef\xbb\xbf\r\n\n one \r\n \ntwo\tthree\x0b\nfour")
    assert list(stream(path)) == [" one ", "two\tthree\x0b", "four"]


def test_a_quoted_text_of_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "corpus.csv"
    path.write_bytes(b'text,label\n"one\ntwo",1\n')
    assert list(stream(path)) == ["one\ntwo"]


def test_both_texts_of_a_pair(tmp_path: Path) -> None:
    path = tmp_path / "corpus.tsv"
    path.write_text("premise\thypothesis\tlabel\na\tb\t0\n")
    assert list(stream(path)) == ["a", "b"]
    assert list(stream(path, text="hypothesis")) == ["b"]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text((json.dumps({"text": "x" * 1000}) + "\n") * 20_000)
    tracemalloc.start()
    assert sum(1 for _ in stream(path)) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 10


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.txt", b"", "c.txt: the file is empty."),
        ("c.txt", b"\r\n\n", "c.txt: the file is empty."),
        ("c.tsv", b"", "c.tsv: the file is empty."),
        ("c.tsv", b"text\n", "c.tsv: a header and no rows."),
        ("c.tsv", b"text\tlabel\na\n", "c.tsv, line 2: 1 fields, the header has 2"),
        ("c.tsv", b"text\na\n\nb\n", "c.tsv, line 3: the line is empty."),
        ("c.tsv", b"label\n1\n", "c.tsv, line 1: no text column"),
        ("c.txt", b"good\nb\xffd\n", "c.txt, line 2: byte 0xff is not valid UTF-8."),
        ("c.jsonl", b'{"text": "a"}\n{"text": "\\ud800"}\n', "c.jsonl, line 2: 'text' holds half of a surrogate pair"),
        ("c.jsonl", b'{"text": "a"}\n{"text": 5}\n', "c.jsonl, line 2: 'text' must be text, is 5."),
        ("c.jsonl", b'{"text": "a"}\n{\n', "c.jsonl, line 2: not valid JSON"),
        ("c.csv", b'text\n"a\n', "not valid CSV"),
    ],
)
def test_what_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(stream(tmp_path / name))
    assert message in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.txt: cannot be read"):
        list(stream(tmp_path / "none.txt"))


def test_columns_of_plain_text(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("good\n")
    with pytest.raises(DataError, match="no column can be named here"):
        list(stream(tmp_path / "c.txt", text="sentence"))


def test_a_file_without_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "c.txt"
    path.write_bytes(b"a\n" + b"x" * (MAX_LINE_BYTES + 1))
    with pytest.raises(DataError, match=r"c.txt, line 2: longer than 64 MiB."):
        list(stream(path))
