import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.sst2_texts import Phrase, both_spellings, hold_out, joined, read, varied, write_table
from edgebert.errors import DataError

SENTENCES = [Phrase(f"this is sentence number {n} of the small corpus .", n % 2) for n in range(10)]
PARTS = [Phrase(f"is sentence number {n}", n % 2) for n in range(10)]


def test_phrases_are_read_with_their_labels(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text('sentence\tlabel\na café \t1\nno "wit" , \u2028 \t0\n', encoding="utf-8")
    assert read(path) == [Phrase("a café", 1), Phrase('no "wit" ,', 0)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "header"),
        (b"label\tsentence\n", "header"),
        (b"sentence\tlabel\n", "no phrase"),
        (b"sentence\tlabel\ngood\t2\n", "line 2"),
        (b"sentence\tlabel\ngood\t1\n\t1\n", "line 3"),
        (b"sentence\tlabel\ngood 1\n", "line 2"),
        (b"sentence\tlabel\n\xff\t1\n", "UTF-8"),
    ],
)
def test_a_file_that_breaks_the_form_is_refused(tmp_path, content, reason):
    path = tmp_path / "train.tsv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        read(path)
    assert str(path) in caught.value.message
    assert "sentence<TAB>label" in caught.value.hint


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "train.tsv")


@given(seed=st.integers(0, 1000), count=st.integers(1, 10))
def test_nothing_of_a_held_out_sentence_is_trained(seed, count):
    kept, held_out = hold_out([*SENTENCES, *PARTS], sentences=count, seed=seed)
    assert len(held_out) == count
    assert len(kept) == 2 * (10 - count)
    assert not any(phrase.text in sentence.text for phrase in kept for sentence in held_out)


def test_the_end_of_a_longer_sentence_is_not_held_out():
    # "... of the small corpus ." is a phrase of SST-2 too; its whole sentence must not stay in the training part.
    end = Phrase("number 0 of a very small and tidy corpus .", 0)
    longer = Phrase(f"this is sentence {end.text}", 0)
    kept, held_out = hold_out([end, longer], sentences=1, seed=0)
    assert held_out == [longer]
    assert kept == []


def test_short_phrases_stay():
    kept, _ = hold_out([*SENTENCES, Phrase("small corpus .", 1)], sentences=10, seed=0)
    assert kept == [Phrase("small corpus .", 1)]


def test_the_choice_follows_the_seed():
    assert hold_out(SENTENCES, sentences=5, seed=1) == hold_out(SENTENCES, sentences=5, seed=1)
    assert hold_out(SENTENCES, sentences=5, seed=1) != hold_out(SENTENCES, sentences=5, seed=2)


def test_more_sentences_than_there_are_is_refused():
    with pytest.raises(DataError, match="has 10"):
        hold_out([*SENTENCES, *PARTS], sentences=11, seed=0)


def test_contractions_are_joined_as_well():
    phrase, plain = Phrase("it is n't good , and he ca n't act", 0), Phrase("a film", 1)
    assert both_spellings([phrase, plain, phrase]) == [phrase, plain, Phrase("it isn't good , and he can't act", 0)]


def test_a_table_is_read_as_it_was_written(tmp_path):
    write_table(tmp_path / "table.tsv", SENTENCES)
    assert read(tmp_path / "table.tsv") == SENTENCES


@given(seed=st.integers(0, 1000), longest=st.integers(8, 90))
def test_long_texts_are_made_of_phrases_of_one_label(seed, longest):
    texts = list(joined(SENTENCES, count=20, longest=longest, seed=seed))
    assert len(texts) == 20
    for text in texts:
        numbers = [int(word) for word in text.split() if word.isdigit()]
        assert text == " ".join(SENTENCES[number].text for number in numbers)
        assert 1 <= len(numbers) <= 10
        assert len({number % 2 for number in numbers}) == 1
        assert len(text.split()) <= max(longest, 10)
    assert texts == list(joined(SENTENCES, count=20, longest=longest, seed=seed))


def test_of_varied_texts_a_tenth_of_the_words_is_gone_and_a_tenth_is_another_one():
    text = " ".join(f"w{n}" for n in range(50))
    found = list(varied([text], count=200, seed=0))
    gone = changed = 0
    for one in found:
        words = one.split(" ")
        assert set(words) <= set(text.split())
        gone += 50 - len(words)
        own = [int(word[1:]) for word in words]
        changed += sum(b <= a for a, b in itertools.pairwise(own))
    assert 0.08 < gone / (200 * 50) < 0.12
    assert 0.05 < changed / (200 * 50) < 0.15  # a word put in by chance mostly breaks the order before or after it
    assert "" not in varied(["a"], count=100, seed=0)
