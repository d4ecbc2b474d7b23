"""What a corpus needs of a vocabulary, and what becomes of texts without the rest. Memory does not grow with them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

HELD_OUT_EACH = 20
"""One of so many texts of the corpus is held out, where no other texts are given to measure on."""

_BATCH_TEXTS = 1000
_BATCH_CHARACTERS = 4_000_000


@dataclass(frozen=True, slots=True)
class Changes:
    """How texts are tokenized after the trimming, in comparison with before; special tokens around a text left out.

    Attributes:
        texts: how many texts there are.
        changed_texts: how many of them have other tokens.
        tokens: their tokens before.
        removed_tokens: how many of these were removed from the vocabulary.
        tokens_after: their tokens after.
        unknown: their unknown tokens before.
        unknown_after: their unknown tokens after.
        newly_unknown_texts: texts without an unknown token before and with one after; never any.
    """

    texts: int = 0
    changed_texts: int = 0
    tokens: int = 0
    removed_tokens: int = 0
    tokens_after: int = 0
    unknown: int = 0
    unknown_after: int = 0
    newly_unknown_texts: int = 0


def is_held_out(text: str) -> bool:
    """Whether a text of the corpus is one to measure on; the same text always is, or never."""
    return zlib.crc32(text.encode("utf-8")) % HELD_OUT_EACH == 0


def count_tokens(tokenizer: Tokenizer, texts: Iterable[str], size: int) -> tuple[NDArray[np.int64], int]:
    """Counts tokens.

    Args:
        tokenizer: gives ids under ``size``.
        texts: the texts.
        size: how many ids there are.

    Returns:
        How often each token occurs, int64 [size], special tokens around a text left out; and the number of texts.
    """
    counts, number = np.zeros(size, dtype=np.int64), 0
    for batch in _batches(texts):
        number += len(batch)
        encodings = tokenizer.encode_batch(batch, add_special_tokens=False)
        ids = np.fromiter(chain.from_iterable(encoding.ids for encoding in encodings), dtype=np.int64)
        counts += np.bincount(ids, minlength=size)
    return counts, number


def compare(before: Tokenizer, after: Tokenizer, kept: Sequence[int], unknown: int, texts: Iterable[str]) -> Changes:
    """Tokenizes texts with both vocabularies.

    Args:
        before: the checkpoint's tokenizer.
        after: the trimmed one.
        kept: the ids in ``before`` of the tokens in ``after``, by their ids there.
        unknown: the unknown token's id in ``before``.
        texts: the texts.
    """
    survives = set(kept)
    sums = np.zeros(8, dtype=np.int64)
    for batch in _batches(texts):
        olds = before.encode_batch(batch, add_special_tokens=False)
        news = after.encode_batch(batch, add_special_tokens=False)
        for old, new in zip(olds, news, strict=True):
            ids, now = old.ids, [kept[index] for index in new.ids]
            was_unknown, is_unknown = ids.count(unknown), now.count(unknown)
            removed = sum(index not in survives for index in ids)
            newly = is_unknown > 0 and was_unknown == 0
            sums += (1, ids != now, len(ids), removed, len(now), was_unknown, is_unknown, newly)
    return Changes(*map(int, sums))


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    characters = 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if len(batch) == _BATCH_TEXTS or characters > _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
