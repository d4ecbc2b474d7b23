"""Texts of an exact length, and the file of texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebert.assets import calibration_texts
from edgebert.bench import read_texts
from edgebert.bench.inputs import text_of_length
from edgebert.errors import DataError, InputError
from edgebert.runtime.tokenization import TextTokenizer
from tests.runtime import tiny

TOKENIZER = TextTokenizer(tiny.tokenizer_json(), max_length=tiny.MAX_LENGTH)

LINE = st.text(st.characters(exclude_characters="\r\n\ufeff", exclude_categories=("Cs",))).filter(str.strip)


def count(text: str) -> list[int]:
    return [len(window.input_ids) for window in TOKENIZER.encode(text)]


@pytest.mark.parametrize("length", range(3, tiny.MAX_LENGTH + 1))
def test_the_calibration_texts_are_cut_to_the_token(length: int) -> None:
    text = text_of_length(TOKENIZER, calibration_texts(), length)
    assert count(text) == [length]
    assert text in " ".join([*calibration_texts(), *calibration_texts()])


@given(
    texts=st.lists(st.text(st.sampled_from("abz .,é漢🙂"), max_size=20).filter(str.strip), min_size=1, max_size=4),
    length=st.integers(3, tiny.MAX_LENGTH),
)
def test_short_texts_are_repeated_until_they_suffice(texts: list[str], length: int) -> None:
    assert count(text_of_length(TOKENIZER, texts, length)) == [length]


@pytest.mark.parametrize("length", [1, 2])
def test_a_length_without_room_for_text_is_refused(length: int) -> None:
    with pytest.raises(InputError, match=f"A text of {length} tokens"):
        text_of_length(TOKENIZER, calibration_texts(), length)


@given(lines=st.lists(LINE, min_size=1), end=st.sampled_from(["\n", "\r\n"]), bom=st.booleans())
def test_a_file_holds_one_text_per_line(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], end: str, bom: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "lines.txt"
    path.write_bytes(f"{end}{end.join(lines)}{end}  {end}".encode("utf-8-sig" if bom else "utf-8"))
    assert read_texts(path) == lines


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "holds no text"), (b" \n\t\n", "holds no text"), (b"fine\n\xff\n", "byte 5 is 0xff")],
)
def test_a_file_without_texts_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        read_texts(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_texts(tmp_path / "none.txt")
    with pytest.raises(DataError, match="directory"):
        read_texts(tmp_path)
