"""Which tokens must stay, against the WordPiece of `tokenizers`, with vocabularies of every kind."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.models import WordPiece

from edgebert.compress.trim_closure import closed

WORDS = ["".join(letters) for length in range(1, 7) for letters in itertools.product("abc", repeat=length)]
TOKENS = [
    prefix + "".join(letters)
    for prefix in ("", "##")
    for length in range(1, 5)
    for letters in itertools.product("abc", repeat=length)
]


def tokens(vocabulary: set[str], word: str) -> list[str]:
    model = WordPiece(vocab={token: index for index, token in enumerate(sorted(vocabulary | {"[UNK]"}))})
    return [token.value for token in model.tokenize(word)]


@st.composite
def vocabularies(draw: st.DrawFn) -> tuple[set[str], set[str]]:
    """A vocabulary in which all characters stand alone but perhaps a few, and what is wanted of it."""
    singles = {"a", "b", "c", "##a", "##b", "##c"}
    singles -= draw(st.sets(st.sampled_from(sorted(singles)), max_size=2))
    vocabulary = singles | draw(st.sets(st.sampled_from(TOKENS), min_size=1, max_size=16))
    return vocabulary, draw(st.sets(st.sampled_from(sorted(vocabulary)), max_size=6))


@given(vocabularies())
@settings(max_examples=60, deadline=None)
def test_no_word_is_lost_and_words_of_kept_tokens_stay(drawn: tuple[set[str], set[str]]) -> None:
    vocabulary, wanted = drawn
    kept = closed(vocabulary, wanted, "##")
    assert wanted <= kept <= vocabulary
    everything = {f"{prefix}{letter}" for prefix in ("", "##") for letter in "abc"} <= vocabulary
    for word in WORDS:
        before, after = tokens(vocabulary, word), tokens(kept, word)
        if before == ["[UNK]"]:
            assert after == before or not everything
            continue
        assert after != ["[UNK]"]
        if set(before) <= kept:
            assert after == before


def test_single_characters_suffice_where_each_character_stands_alone() -> None:
    letters = {f"{prefix}{letter}" for prefix in ("", "##") for letter in "abc"}
    assert closed({*letters, "abc", "##ab", "ca"}, {"ca"}, "##") == letters | {"ca"}


def test_a_character_that_stands_in_longer_tokens_alone() -> None:
    assert closed({"a", "ab", "ac", "##c"}, [], "##") == {"a", "ab", "##c"}  # no ##b: ab is the only way to it
    assert closed({"##a", "bc", "##c"}, [], "##") == {"##a", "bc", "##c"}  # no b


def test_a_token_whose_removal_would_make_another_end_inside_a_third() -> None:
    vocabulary = {"u", "un", "##n", "##b", "##c", "##cd", "##nbc", "b"}
    assert tokens(vocabulary, "unbcd") == ["un", "##b", "##cd"]
    assert tokens(vocabulary - {"un"}, "unbcd") == ["[UNK]"]  # u ##nbc, and no ##d
    assert "un" in closed(vocabulary, ["##nbc"], "##")
    assert "un" not in closed(vocabulary, [], "##")


def test_another_prefix() -> None:
    assert closed({"a", "b", "@a", "@b", "ab", "@ab"}, ["@ab"], "@") == {"a", "b", "@a", "@b", "@ab"}
