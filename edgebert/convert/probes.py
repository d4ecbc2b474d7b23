"""Inputs made from texts: for calibration, for the golden self-test, and for probing an artifact at every length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from edgebert.bundle import Golden
from edgebert.convert.exporters.base import OUTPUT_NAME, TokenArrays
from edgebert.errors import DataError
from edgebert.runtime.tokenization import TextTokenizer

MAX_CALIBRATION_INPUTS = 256
"""More texts are sampled evenly: ranges no longer move, and each costs an inference."""

_PADDED_EVERY = 4
_PADDING_STEP = 16
_SHORT = 12

Reference = Callable[[NDArray[np.int32], NDArray[np.int32]], NDArray[np.float32]]
"""The float32 checkpoint: ids and mask, int32 [batch, length], to logits, float32 [batch, labels]."""


def calibration_inputs(tokenizer: TextTokenizer, texts: Sequence[str], pad_id: int) -> list[TokenArrays]:
    """One input of batch 1 per text, as the texts will be served: of varied length, some with padding behind them."""
    inputs = []
    for index, text in enumerate(_sample(texts)):
        ids = tokenizer.encode(text, truncation=True)[0].input_ids
        padded = -(-len(ids) // _PADDING_STEP) * _PADDING_STEP if index % _PADDED_EVERY == 0 else len(ids)
        inputs.append(pad(ids, min(padded, tokenizer.max_length), pad_id))
    return inputs


def probe_lengths(max_length: int, buckets: Sequence[int]) -> tuple[int, ...]:
    """Input lengths to probe: an empty text, one token, around and at each bucket, and the full length."""
    lengths = {2, 3, 5, max_length}
    for bucket in buckets:
        lengths |= {bucket - 1, bucket, bucket + 1}
    return tuple(sorted(n for n in lengths if 2 <= n <= max_length))


def texts_of_length(tokenizer: TextTokenizer, texts: Sequence[str], lengths: Sequence[int]) -> list[NDArray[np.int32]]:
    """For each length a sequence of exactly so many token ids (special tokens included), cut from running text.

    Raises:
        DataError: the texts have no tokens.
    """
    source = _running(tokenizer, texts)
    special = tokenizer.encode("")[0].input_ids
    rows = []
    for length in lengths:
        body = [next(source) for _ in range(length - len(special))]
        rows.append(np.array([special[0], *body, *special[1:]], dtype=np.int32))
    return rows


def golden_inputs(
    tokenizer: TextTokenizer, texts: Sequence[str], reference: Reference, buckets: Sequence[int], pad_id: int
) -> Golden:
    """Golden rows: the two short texts that the checkpoint tells apart best, and one row that fills each bucket.

    The two short ones come first and have opposite answers, so that an artifact that answers everything alike, however
    wrong, is far from at least one of them.
    """
    rows = _apart(tokenizer, texts, reference, min(buckets))
    rows += texts_of_length(tokenizer, texts, buckets)
    width = max(len(row) for row in rows)
    padded = [pad(row, width, pad_id) for row in rows]
    # The mask in full, so that an output per token has a row for padding too: one shape for all rows.
    outputs = np.concatenate([reference(ids, mask) for ids, mask in padded])
    return Golden(
        input_ids=np.concatenate([ids for ids, _ in padded]),
        attention_mask=np.concatenate([mask for _, mask in padded]),
        outputs={OUTPUT_NAME: outputs},
        per_token=frozenset({OUTPUT_NAME} if outputs.ndim == 3 else ()),
    )


def golden_spread(golden: Golden) -> float:
    """How far apart the two short golden answers are: the largest |difference| between their logits."""
    first, second = golden.outputs[OUTPUT_NAME][:2]
    if OUTPUT_NAME in golden.per_token:
        shared = golden.attention_mask[:2].all(axis=0)
        first, second = first[shared], second[shared]
    return float(np.abs(first - second).max())


def pad(ids: NDArray[np.int32], length: int, pad_id: int) -> TokenArrays:
    """``ids`` as one row of ``length`` tokens: ``input_ids`` and ``attention_mask``, int32 [1, length]."""
    input_ids = np.full((1, length), pad_id, dtype=np.int32)
    attention_mask = np.zeros((1, length), dtype=np.int32)
    input_ids[0, : len(ids)] = ids
    attention_mask[0, : len(ids)] = 1
    return input_ids, attention_mask


def _sample(texts: Sequence[str]) -> list[str]:
    step = max(1, len(texts) / MAX_CALIBRATION_INPUTS)
    return [texts[int(i * step)] for i in range(int(len(texts) / step))]


def _running(tokenizer: TextTokenizer, texts: Sequence[str]) -> Iterator[int]:
    rows = (tokenizer.encode(text, truncation=True)[0].input_ids[1:-1] for text in cycle(texts))
    silent = 0
    for row in rows:
        yield from (int(token) for token in row)
        silent = 0 if len(row) else silent + 1
        if silent == len(texts):
            raise DataError(
                "The calibration texts hold no token that the model knows.", hint="Give texts like those it will see."
            )


def _apart(tokenizer: TextTokenizer, texts: Sequence[str], reference: Reference, limit: int) -> list[NDArray[np.int32]]:
    rows = [tokenizer.encode(text, truncation=True)[0].input_ids for text in _sample(texts)]
    short = [row for row in rows if len(row) <= min(limit, _SHORT)]
    if len(short) < 2:  # no short texts: the beginnings of long ones do as well
        short = texts_of_length(tokenizer, texts, [min(limit, _SHORT)] * 16)
    logits = [reference(row[None], np.ones((1, len(row)), np.int32))[0] for row in short]
    distances = np.array([[_distance(one, other) for other in logits] for one in logits])
    first, second = np.unravel_index(distances.argmax(), distances.shape)
    return [short[int(first)], short[int(second)]]


def _distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The largest |logit difference|; for logits per token over the tokens that both texts have."""
    shared = min(len(one), len(other))
    return float(np.abs(one[:shared] - other[:shared]).max())
