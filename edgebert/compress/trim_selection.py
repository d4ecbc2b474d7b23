"""Which tokens of a checkpoint's vocabulary stay."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgebert.compress.trim_budget import cheapest_without
from edgebert.compress.trim_closure import closed
from edgebert.compress.trim_files import TokenizerJson
from edgebert.convert.evaluation.stream import TextStream
from edgebert.convert.evaluation.texts import EvalColumns
from edgebert.errors import DataError

REASONS: Mapping[str, str] = {
    "special": "special and added tokens",
    "asked": "asked for",
    "corpus": "in the corpus",
    "character": "single characters that the corpus has not",
    "guard": "tokens without which a text could become unknown",
}
"""Why a token is kept; of several reasons the first one counts."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The tokens to keep.

    Attributes:
        ids: their ids in the checkpoint, in order; the place of each is its new id.
        reasons: reason of :data:`REASONS` to the number of tokens kept for it; their sum is ``len(ids)``.
    """

    ids: tuple[int, ...]
    reasons: Mapping[str, int]


def select(
    tokenizer: TokenizerJson,
    counts: NDArray[np.int64],
    *,
    min_count: int,
    size: int | None = None,
    asked: Collection[str] = (),
    special: Collection[int] = (),
    impossible: Collection[str] = (),
) -> Selection:
    """Chooses the tokens to keep.

    Args:
        tokenizer: the checkpoint's tokenizer.
        counts: how often each token occurs in the corpus, int64 [ids].
        min_count: how often a token must occur to be needed by the corpus, at least 1.
        size: keep at most so many, as ``edgebert.compress.trim_budget`` chooses them; ``None`` for all that are needed.
        asked: tokens to keep as well.
        special: ids of tokens that something else than the tokenizer names.
        impossible: tokens of the tokenizer's model that it can never give; they stay only if they are asked for or
            special.

    Raises:
        DataError: ``size`` is too small for the tokens that do not depend on the corpus.
    """
    tokens = tokenizer.tokens()
    named = tokenizer.special_ids().union(special)
    names: dict[str, set[str]] = {
        "special": {token for token, index in tokens.items() if index in named},
        "asked": set(asked),
        "corpus": {token for token, index in tokens.items() if counts[index] >= min_count},
    }
    possible = set(tokenizer.vocabulary) - set(impossible)

    def complete(wanted: set[str]) -> set[str]:
        return closed(possible, wanted & possible, tokenizer.prefix) | wanted

    required = complete(names["special"] | names["asked"])
    everything = complete(required | names["corpus"])
    if size is not None and len(everything) > size:
        if len(required) > size:
            raise DataError(
                f"{size} tokens cannot hold the {len(required)} that any text may need: special tokens, those asked "
                "for, and single characters.",
                hint=f"Ask for a --size of at least {len(required)}.",
            )
        occurrences = {token: int(counts[tokens[token]]) for token in names["corpus"] - required}
        room = size - len(required)
        while len(everything) > size:
            names["corpus"] &= required
            names["corpus"] |= cheapest_without(occurrences, required, room, tokenizer.prefix)
            everything = complete(required | names["corpus"])
            room = max(0, room - max(0, len(everything) - size))
    names["character"] = {token for token in everything if len(token.removeprefix(tokenizer.prefix)) == 1}
    names["guard"] = everything
    reasons: dict[str, int] = {}
    counted: set[str] = set()
    for reason, group in names.items():
        reasons[reason] = len(group - counted)
        counted |= group
    return Selection(tuple(sorted({tokens[token] for token in everything})), reasons)


def asked_tokens(keep: Sequence[str], tokenizer: TokenizerJson) -> list[str]:
    """The tokens that ``--keep`` names, each a token or a file with one a line.

    Raises:
        DataError: neither, or a line of a file is no token.
    """
    tokens = tokenizer.tokens()
    found: list[str] = []
    for name in keep:
        if name in tokens:
            found.append(name)
            continue
        path = Path(name)
        if not path.exists():
            raise DataError(
                f"{name!r} is not in the checkpoint's vocabulary, and there is no such file.",
                hint=f"Give a token as it stands in the vocabulary ({tokenizer.prefix}ing), or a file with one a line.",
            )
        for token in TextStream(path, EvalColumns()):
            if token not in tokens:
                raise DataError(
                    f"{path}: {token!r} is not in the checkpoint's vocabulary.",
                    hint="Give the tokens as they stand in the vocabulary, one a line.",
                )
            found.append(token)
    return found
