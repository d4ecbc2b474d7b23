"""What trimming may do to the tokens of a text, whatever the text: against the tokenizers themselves."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

pytest.importorskip("torch")

from edgebert.compress.trim_files import TokenizerJson
from edgebert.compress.trim_reach import impossible
from edgebert.compress.trim_selection import select
from tests.compress import trim_models

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("EDGEBERT_SHARED", ROOT / ".." / "shared")).absolute()
REAL = SHARED / "checkpoints" / "distilbert-cased-sst2" / "tokenizer.json"
CORPUS = ["A charming Film, good GOOD un 3 жи", "films! 中国 (café)"]

WORDS = [
    "good",
    "films",
    "charmingly",
    "unfunny",
    "UNGOOD",
    "中国文",
    "😀",
    "жижи",
    "éßé",
    "e\u0301",
    "[MASK]",
    "##ing",
]
TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(alphabet=trim_models.LETTERS + "ABÉ\u0301 ,.!#[]-", max_size=60),
    st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join),
)


@cache
def impossible_of(name: str) -> frozenset[str]:
    before = pair(name)[0]
    return frozenset(impossible(before, json.loads(before.to_str())["model"]["vocab"], "##"))


@cache
def pair(name: str) -> tuple[Tokenizer, Tokenizer, dict[str, int], bool]:
    """The tokenizer before and after, the vocabulary after, and whether each of its characters stands alone."""
    if name == "real":
        if not REAL.is_file():
            pytest.skip(f"no distilbert-cased-sst2 in {SHARED}")
        before = Tokenizer.from_file(str(REAL))
    elif name == "fragile":  # ж and и in longer tokens alone
        lonely = {"ж", "и", "##ж", "##и"}
        tokens = [token for token in trim_models.vocabulary(cased=True) if token not in lonely]
        before = trim_models.make_tokenizer(cased=True, tokens=[*tokens, "##жиж", "иж"])
    else:
        before = trim_models.make_tokenizer(cased=name == "cased")
    before.no_truncation()
    before.no_padding()
    tokenizer = TokenizerJson(before.to_str())
    counts = np.zeros(before.get_vocab_size(), dtype=np.int64)
    for encoding in before.encode_batch(CORPUS):
        np.add.at(counts, encoding.ids, 1)
    dead = impossible(before, tokenizer.vocabulary, tokenizer.prefix)
    selection = select(tokenizer, counts, min_count=1, impossible=dead)
    after = Tokenizer.from_str(tokenizer.trimmed({old: new for new, old in enumerate(selection.ids)}).decode())
    return before, after, after.get_vocab(), name != "fragile"


@pytest.mark.parametrize("name", ["cased", "uncased", "fragile", "real"])
@given(text=TEXTS)
@settings(max_examples=300, deadline=None)
def test_no_text_becomes_unknown_and_tokens_that_are_all_kept_stay(name: str, text: str) -> None:
    before, after, kept, alone = pair(name)
    old, new = before.encode(text).tokens, after.encode(text).tokens
    if "[UNK]" not in old:
        assert "[UNK]" not in new
    if set(old) <= kept.keys() and (alone or "[UNK]" not in old):
        assert new == old
    if alone:
        assert new.count("[UNK]") == old.count("[UNK]")


@pytest.mark.parametrize("name", ["cased", "uncased", "real"])
def test_it_is_smaller(name: str) -> None:
    before, _, kept, _ = pair(name)
    assert len(kept) < before.get_vocab_size()


@pytest.mark.parametrize("name", ["cased", "uncased", "real"])
@given(text=TEXTS)
@settings(max_examples=200, deadline=None)
def test_impossible_tokens_are_never_given(name: str, text: str) -> None:
    before = pair(name)[0]
    dead = impossible_of(name)
    assert {"##!", "##中", "[unused1]"} <= dead
    assert dead.isdisjoint({"!", "中", "##a", "good"})
    special = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}  # found before words are made
    assert (dead - special).isdisjoint(before.encode(text).tokens)


@pytest.mark.parametrize("name", ["cased", "uncased", "real"])
def test_each_single_character_that_stays_is_given_by_some_text(name: str) -> None:
    before, _, kept, _ = pair(name)
    singles = {token for token in kept if len(token.removeprefix("##")) == 1}
    texts = [token for token in singles if not token.startswith("##")]
    texts += [first + token[2:] for token in singles if token.startswith("##") for first in ("q", "é", "ж", "й")]
    given = {token for encoding in before.encode_batch(texts) for token in encoding.tokens}
    assert len(singles) > 80
    assert singles <= given


def test_what_the_normalizer_never_leaves_is_impossible() -> None:
    tokens = trim_models.vocabulary(cased=True)
    uncased = trim_models.make_tokenizer(cased=False, tokens=tokens)
    assert {"A", "Good", "##OO", "É", "é", "##é", "##éß", "\u0301"} <= impossible(uncased, tokens, "##")
    assert impossible(uncased, tokens, "##").isdisjoint({"a", "good", "ß", "жи", "😀"})
    cased = trim_models.make_tokenizer(cased=True, tokens=tokens)
    assert impossible(cased, tokens, "##").isdisjoint({"A", "Good", "##OO", "É", "é", "##é", "##éß", "\u0301"})


def test_nothing_is_assumed_of_another_pre_tokenizer() -> None:
    from tokenizers.pre_tokenizers import WhitespaceSplit

    tokenizer = trim_models.make_tokenizer()
    tokenizer.pre_tokenizer = WhitespaceSplit()
    assert impossible(tokenizer, trim_models.vocabulary(cased=False), "##") == set()
