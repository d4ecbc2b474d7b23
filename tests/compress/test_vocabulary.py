import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebert.compress.vocabulary import (
    SPECIAL_TOKENS,
    build_tokenizer,
    select_vocabulary,
    teacher_pieces,
    word_counts,
)
from edgebert.errors import DataError

CHARACTERS = [*string.ascii_letters, *(f"##{c}" for c in string.ascii_letters), *string.punctuation]
PIECES = ["good", "film", "un", "##fun", "##ny", "clich", "##é"]
TEACHER = {entry: index for index, entry in enumerate([*SPECIAL_TOKENS, *CHARACTERS, *PIECES])}
TEXTS = ["A good film , unfunny film", "unfunny good film", "unfunny", "ungood"]


def vocabulary(**options):
    return select_vocabulary(word_counts(TEXTS), TEACHER, **{"size": 120, "min_word_count": 3, **options})


def test_words_are_counted_as_the_tokenizer_splits_them():
    assert word_counts(["Café isn't", "CAFE!"]) == {"cafe": 2, "isn": 1, "'": 1, "t": 1, "!": 1}


def test_special_tokens_have_the_first_ids():
    assert vocabulary()[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def test_entries_are_unique():
    assert len(set(vocabulary())) == len(vocabulary())


def test_frequent_words_are_whole_and_rare_ones_are_the_teachers_pieces():
    chosen = vocabulary()
    assert "unfunny" in chosen  # three times, although the teacher spells it un ##fun ##ny
    assert {"film", "good"} < set(chosen)
    assert "ungood" not in chosen
    assert "un" in chosen
    assert "##fun" not in chosen


def test_size_keeps_the_most_frequent():
    required = len(select_vocabulary({}, TEACHER, size=1000, min_word_count=1))
    assert vocabulary(size=required + 2)[required:] == ["film", "unfunny"]


def test_a_size_that_cannot_hold_ascii_is_refused():
    with pytest.raises(DataError, match="50 entries"):
        vocabulary(size=50)


def test_pieces_spell_entries_with_the_teachers_ids():
    assert teacher_pieces(["[CLS]", "film", "unfunny"], TEACHER) == [
        [TEACHER["[CLS]"]],
        [TEACHER["film"]],
        [TEACHER["un"], TEACHER["##fun"], TEACHER["##ny"]],
    ]


def test_a_text_stands_between_cls_and_sep():
    encoding = build_tokenizer(vocabulary()).encode("Good FILM", "film")
    assert encoding.tokens == ["[CLS]", "good", "film", "[SEP]", "film", "[SEP]"]
    assert encoding.type_ids == [0, 0, 0, 0, 1, 1]


@given(st.text(alphabet=string.printable, max_size=100))
def test_printable_ascii_has_no_unknown_token(text):
    assert "[UNK]" not in build_tokenizer(vocabulary()).encode(text, add_special_tokens=False).tokens


@given(st.text(alphabet=string.ascii_letters + string.digits + string.punctuation + " ", max_size=80))
def test_ascii_tokens_spell_the_text(text):
    tokens = build_tokenizer(vocabulary()).encode(text, add_special_tokens=False).tokens
    special = any(token in text for token in SPECIAL_TOKENS)
    if not special:
        assert "".join(token.removeprefix("##") if len(token) > 2 else token for token in tokens) == "".join(
            text.lower().split()
        )
