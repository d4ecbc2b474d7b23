"""SST-2 in GLUE's form as texts to distil from: whole sentences held out, and the phrases as people write them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebert.errors import DataError

_HINT = 'Expected a header "sentence<TAB>label", then one phrase, a tab, and 0 or 1 a line.'

_SENTENCE_WORDS = 8


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text and its label: 0 negative, 1 positive."""

    text: str
    label: int


def read(path: Path) -> list[Phrase]:
    """Reads a file of SST-2.

    Raises:
        DataError: the file is missing, is not UTF-8, or a line breaks the form.
    """
    try:
        lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", hint=_HINT) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start}).", hint=_HINT) from error
    if lines[0] != "sentence\tlabel":
        raise DataError(f"{path} begins with {lines[0][:40]!r}, not with SST-2's header.", hint=_HINT)
    phrases = []
    for number, line in enumerate(lines[1:], start=2):
        text, tab, label = line.rpartition("\t")
        if not tab or not text.strip() or label not in ("0", "1"):
            raise DataError(f"{path}, line {number}: {line[:40]!r} is not a phrase of SST-2.", hint=_HINT)
        phrases.append(Phrase(text.strip(), int(label)))
    if not phrases:
        raise DataError(f"{path} holds no phrase.", hint=_HINT)
    return phrases


def hold_out(phrases: Sequence[Phrase], *, sentences: int, seed: int) -> tuple[list[Phrase], list[Phrase]]:
    """Splits off whole sentences for choosing hyper-parameters.

    The training file of SST-2 holds sentences *and* the phrases they are made of, so a random split would test on
    what was trained. Here only phrases that are part of no other one are held out, and every phrase of four words or
    more that is part of a held-out sentence leaves the training part; shorter ones ("a good film") are common
    property and stay.

    Args:
        phrases: the training file.
        sentences: how many sentences to hold out, of at least 8 words each.
        seed: of the choice.

    Returns:
        The training part and the held-out sentences.

    Raises:
        DataError: fewer sentences than asked for.
    """
    whole = _whole_sentences(phrases)
    if len(whole) < sentences:
        raise DataError(f"{sentences} sentences cannot be held out: the training file has {len(whole)}.", hint=_HINT)
    held_out = random.Random(seed).sample(whole, sentences)
    forbidden = {span for phrase in held_out for span in _spans(phrase.text, shortest=4)}
    kept = [phrase for phrase in phrases if phrase.text not in forbidden]
    return kept, held_out


def both_spellings(phrases: Sequence[Phrase]) -> list[Phrase]:
    """The distinct phrases, and those with a contraction once more as people write it: ``isn't`` for ``is n't``."""
    written = [Phrase(phrase.text.replace(" n't", "n't"), phrase.label) for phrase in phrases]
    return list(dict.fromkeys([*phrases, *written]))


def joined(phrases: Sequence[Phrase], *, count: int, longest: int, seed: int) -> Iterator[str]:
    """Long texts made of short ones of one label, so that positions beyond the longest phrase are trained too.

    Args:
        phrases: what to join, of both labels.
        count: how many texts to make, each of 2 to 10 phrases.
        longest: most words of a text.
        seed: of the choice.
    """
    chance = random.Random(seed)
    by_label = [[phrase.text for phrase in phrases if phrase.label == label] for label in (0, 1)]
    for _ in range(count):
        parts = chance.choices(chance.choice(by_label), k=chance.randint(2, 10))
        while len(parts) > 1 and sum(part.count(" ") + 1 for part in parts) > longest:
            parts.pop()
        yield " ".join(parts)


def varied(texts: Sequence[str], *, count: int, seed: int) -> Iterator[str]:
    """Texts with some words left out and some exchanged, so that the teacher tells what a word changes.

    As in Tang et al. 2019 (arXiv 1903.12136, section 4), of each text one word in ten is left out, and one in ten is
    another one, as frequent words are.

    Args:
        texts: what to vary, each of several words.
        count: how many texts to make.
        seed: of the choice.
    """
    chance = random.Random(seed)
    words = [word for text in texts for word in text.split(" ")]
    for text in chance.choices(texts, k=count):
        drawn = ((word, chance.random()) for word in text.split(" "))
        kept = [chance.choice(words) if value < 0.1 else word for word, value in drawn if value < 0.9]
        yield " ".join(kept) or text


def write_table(path: Path, phrases: Sequence[Phrase]) -> None:
    """Writes phrases in GLUE's form."""
    lines = ["sentence\tlabel", *(f"{phrase.text}\t{phrase.label}" for phrase in phrases)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _whole_sentences(phrases: Sequence[Phrase]) -> list[Phrase]:
    """The distinct phrases of at least 8 words that are part of no other phrase, in an order of their own."""
    longest_first = sorted(set(phrases), key=lambda phrase: (-phrase.text.count(" "), phrase.text, phrase.label))
    parts: set[str] = set()
    whole = []
    for phrase in longest_first:
        if phrase.text.count(" ") >= _SENTENCE_WORDS - 1 and phrase.text not in parts:
            whole.append(phrase)
            parts |= _spans(phrase.text, shortest=_SENTENCE_WORDS)
    return whole


def _spans(text: str, *, shortest: int) -> set[str]:
    words = text.split(" ")
    return {" ".join(words[i:j]) for i in range(len(words)) for j in range(i + shortest, len(words) + 1)}
