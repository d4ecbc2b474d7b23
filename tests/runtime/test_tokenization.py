"""Tokenization: the same ids as transformers, windows over long text, odd text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebert.errors import BundleError, InputError
from edgebert.runtime.tokenization import TextTokenizer, Window
from tests.runtime import tiny

LIMIT = 20
CLS, SEP = 2, 3
words = st.lists(st.sampled_from([*tiny.WORDS, "zx", "🙂", "é", "\x00", "שלום", "[SEP]"]), max_size=60).map(" ".join)
texts = st.one_of(words, st.text(max_size=80))


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return TextTokenizer(tiny.tokenizer_json(), max_length=LIMIT)


reference = tiny.make_checkpoint("regression", ("LABEL_0",)).pipeline().tokenizer


def encodable(text: str) -> bool:
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in text)


@given(text=texts.filter(encodable))
@settings(deadline=None)
def test_a_text_that_fits_has_the_ids_of_transformers(text: str) -> None:
    whole = TextTokenizer(tiny.tokenizer_json(), max_length=2000)
    [window] = whole.encode(text)
    assert window.input_ids.tolist() == reference(text)["input_ids"]
    assert window.input_ids.dtype == np.int32


@given(text=texts.filter(encodable), pair=texts.filter(encodable), limit=st.integers(4, 60))
@settings(deadline=None)
def test_truncation_cuts_as_transformers_does(text: str, pair: str, limit: int) -> None:
    cutting = TextTokenizer(tiny.tokenizer_json(), max_length=limit)
    [single] = cutting.encode(text, truncation=True)
    assert single.input_ids.tolist() == reference(text, truncation=True, max_length=limit)["input_ids"]
    # An empty pair is no pair to transformers; here the caller says which it is.
    [both] = cutting.encode(text, pair or None, truncation=True)
    assert both.input_ids.tolist() == reference(text, pair, truncation=True, max_length=limit)["input_ids"]


def tokens_of(tokenizer: TextTokenizer, text: str) -> list[int]:
    [window] = TextTokenizer(tiny.tokenizer_json(), max_length=100_000).encode(text)
    return window.input_ids.tolist()[1:-1]


@given(text=texts)
@settings(deadline=None)
def test_windows_hold_every_token_in_order(tokenizer: TextTokenizer, text: str) -> None:
    windows = tokenizer.encode(text)
    joined: list[int] = []
    for window in windows:
        ids = window.input_ids.tolist()
        assert len(ids) <= LIMIT
        assert ids[0] == CLS
        assert ids[-1] == SEP
        inside = ids[1:-1]
        assert joined[len(joined) + window.fresh - len(inside) :] == inside[: len(inside) - window.fresh]
        joined += inside[len(inside) - window.fresh :]
    assert joined == tokens_of(tokenizer, text)
    assert all(len(window.input_ids) == LIMIT for window in windows[:-1])
    assert all(len(w.input_ids) - 2 - w.fresh == int((LIMIT - 2) * 0.25) for w in windows[1:])


def split_pair(window: Window) -> tuple[list[int], list[int]]:
    ids = window.input_ids.tolist()
    assert ids[0] == CLS
    assert ids[-1] == SEP
    texts: tuple[list[int], list[int]] = ([], [])
    for token, offset in zip(ids, window.offsets, strict=True):
        if offset is not None:
            texts[offset[0]].append(token)
    return texts


@given(short=st.lists(st.sampled_from(tiny.WORDS), max_size=8), long=st.lists(st.sampled_from(tiny.WORDS), min_size=20))
@settings(deadline=None)
def test_of_a_pair_the_longer_text_is_windowed_and_the_other_kept(
    tokenizer: TextTokenizer, short: list[str], long: list[str]
) -> None:
    kept, windowed = (tokens_of(tokenizer, " ".join(part)) for part in (short, long))
    for swap in (False, True):
        order = (" ".join(long), " ".join(short)) if swap else (" ".join(short), " ".join(long))
        joined: list[int] = []
        for window in tokenizer.encode(*order):
            assert len(window.input_ids) <= LIMIT
            first, second = split_pair(window)
            here, other = (first, second) if swap else (second, first)
            assert other == kept
            joined += here[len(here) - window.fresh :]
        assert joined == windowed


def test_a_pair_of_two_long_texts_is_refused(tokenizer: TextTokenizer) -> None:
    with pytest.raises(InputError, match=r"30 and 40 tokens"):
        tokenizer.encode("film " * 30, "plot " * 40)
    assert len(tokenizer.encode("film " * 30, "plot " * 40, truncation=True)) == 1


def test_error_on_truncation_names_length_and_limit(tokenizer: TextTokenizer) -> None:
    assert len(tokenizer.encode("film " * 18, truncation="error")) == 1
    with pytest.raises(InputError, match="21 tokens; the limit is 20"):
        tokenizer.encode("film " * 19, truncation="error")


@given(text=st.text(alphabet=st.characters(), max_size=60), pair=st.none() | st.text(max_size=10))
@settings(deadline=None)
def test_offsets_point_into_the_text_as_given(tokenizer: TextTokenizer, text: str, pair: str | None) -> None:
    for window in tokenizer.encode(text, pair, truncation=True):
        assert len(window.offsets) == len(window.input_ids)
        for offset in window.offsets:
            if offset is not None:
                sequence, start, stop = offset
                assert 0 <= start < stop <= len((text, pair or "")[sequence])


def test_offsets_find_the_words_again(tokenizer: TextTokenizer) -> None:
    text, pair = "\udc80good  film", "great \U0001f642 plot"
    [window] = tokenizer.encode(text, pair)
    found = [None if o is None else (text, pair)[o[0]][o[1] : o[2]] for o in window.offsets]
    assert found == [None, "good", "film", None, "great", "\U0001f642", "plot", None]


def test_a_lone_surrogate_is_read_as_the_replacement_character(tokenizer: TextTokenizer) -> None:
    [window], [replaced] = tokenizer.encode("good \ud83d film"), tokenizer.encode("good \ufffd film")
    assert window.input_ids.tolist() == replaced.input_ids.tolist()


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_empty_text_is_the_special_tokens_alone(tokenizer: TextTokenizer, text: str) -> None:
    [window] = tokenizer.encode(text)
    assert window.input_ids.tolist() == [CLS, SEP]


def test_a_broken_tokenizer_file_is_refused() -> None:
    with pytest.raises(BundleError, match=r"tokenizer\.json"):
        TextTokenizer(b'{"version": "1.0"}', max_length=8)


def test_a_limit_without_room_for_text_is_refused() -> None:
    with pytest.raises(BundleError, match="3 tokens"):
        TextTokenizer(tiny.tokenizer_json(), max_length=3)


@given(text=texts.filter(encodable), pair=texts.filter(encodable), size=st.integers(1, 30), overlap=st.integers(0, 29))
@settings(deadline=None)
def test_sliding_over_the_pair_gives_the_windows_of_transformers(text: str, pair: str, size: int, overlap: int) -> None:
    whole = TextTokenizer(tiny.tokenizer_json(), max_length=2000)
    overlap %= size
    first, second = whole.read(text), whole.read(pair, sequence=1)
    windows = whole.slide([first, second], 1, size=size, overlap=overlap)
    theirs = reference(
        [(text, pair)],
        truncation="only_second",
        max_length=len(first) + size + whole.special_tokens(2),
        stride=overlap,
        return_overflowing_tokens=True,
    )
    assert [window.input_ids.tolist() for window in windows] == theirs["input_ids"]
    assert sum(window.fresh for window in windows) == len(second)


@given(text=texts, pair=texts)
@settings(deadline=None)
def test_a_text_is_found_where_it_lies_in_a_window(text: str, pair: str) -> None:
    whole = TextTokenizer(tiny.tokenizer_json(), max_length=2000)
    [window] = whole.encode(text, pair)
    for sequence, given_text in enumerate((text, pair)):
        position, segment = window.find(sequence)
        assert window.input_ids[position : position + len(segment)].tolist() == whole.read(given_text).encoding.ids
        assert len(segment.head(3)) == min(3, len(segment))
    with pytest.raises(LookupError, match="2"):
        window.find(2)


def test_tokens_are_written_and_joined_as_transformers_does(tokenizer: TextTokenizer) -> None:
    ids = reference("charming xq film")["input_ids"]
    tokens = [tokenizer.token(token_id) for token_id in ids]
    assert tokens == reference.convert_ids_to_tokens(ids) == ["[CLS]", "charming", "x", "##q", "film", "[SEP]"]
    assert tokenizer.join(tokens) == reference.convert_tokens_to_string(tokens)
    assert tokenizer.marks_subwords
    assert tokenizer.unknown_id == reference.unk_token_id
    with pytest.raises(LookupError, match="9999"):
        tokenizer.token(9999)
