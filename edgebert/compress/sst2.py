"""SST-2 in GLUE's form: reading it, holding out whole sentences, and undoing its spelling of contractions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebert.errors import DataError

_HINT = 'Expected a header "sentence<TAB>label", then one phrase, a tab, and 0 or 1 a line.'


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
    what was trained. Here every phrase of four words or more that is part of a held-out sentence leaves the training
    part too; shorter ones ("a good film") are common property and stay.

    Args:
        phrases: the training file.
        sentences: how many sentences to hold out: phrases of at least 8 words that end with a full stop.
        seed: of the choice.

    Returns:
        The training part and the held-out sentences.

    Raises:
        DataError: fewer sentences than asked for.
    """
    whole = sorted({phrase for phrase in phrases if _is_sentence(phrase.text)}, key=lambda phrase: phrase.text)
    if len(whole) < sentences:
        raise DataError(f"{sentences} sentences cannot be held out: the training file has {len(whole)}.", hint=_HINT)
    held_out = random.Random(seed).sample(whole, sentences)
    forbidden = {span for phrase in held_out for span in _spans(phrase.text)}
    kept = [phrase for phrase in phrases if phrase.text not in forbidden]
    return kept, held_out


def as_written(text: str) -> str:
    """The text with its contractions joined as people write them: ``is n't`` becomes ``isn't``."""
    return text.replace(" n't", "n't")


def _is_sentence(text: str) -> bool:
    return text.endswith(" .") and text.count(" ") >= 7


def _spans(text: str) -> set[str]:
    words = text.split(" ")
    return {" ".join(words[start:end]) for start in range(len(words)) for end in range(start + 4, len(words) + 1)}
