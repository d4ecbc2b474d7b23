"""Which tokens of a corpus to keep where not all of them may be."""

from __future__ import annotations

from collections.abc import Collection, Mapping

_ROUNDS = 8


def cheapest_without(counts: Mapping[str, int], always: Collection[str], room: int, prefix: str) -> set[str]:
    """The tokens to keep, so that without the others the corpus has few tokens more.

    A token that occurs ``n`` times and is read as ``k`` others without it costs ``n * (k - 1)``; the most expensive are
    kept. What a token is read as depends on which are kept: costs and choice are made again until the choice stays (at
    most a few rounds). Of equal costs the more frequent one is kept, then the one that is first in the alphabet.

    Counting alone would keep ``movies`` and not a rarer ``Ang``; but ``movie ##s`` is close to the one, ``A ##n ##g``
    says nothing of the other.

    Args:
        counts: token to how often it occurs in the corpus; the tokens to choose from.
        always: tokens that are kept in any case, none of them in ``counts``.
        room: how many to choose.
        prefix: what marks a token that continues a word.
    """
    if room >= len(counts):
        return set(counts)
    fixed = set(always)
    chosen = set(counts)
    for _ in range(_ROUNDS):
        kept = chosen | fixed
        costs = {token: count * (_pieces(token, kept, prefix) - 1) for token, count in counts.items()}
        order = sorted(counts, key=lambda token: (-costs[token], -counts[token], token))
        following = set(order[:room])
        if following == chosen:
            break
        chosen = following
    return chosen


def _pieces(token: str, kept: Collection[str], prefix: str) -> int:
    """As how many tokens a token's characters are read without it; as many as characters where they cannot be."""
    continues = token.startswith(prefix) and len(token) > len(prefix)
    text = token[len(prefix) :] if continues else token
    start = pieces = 0
    while start < len(text):
        for end in range(len(text), start, -1):
            piece = (prefix if continues or start else "") + text[start:end]
            if piece in kept and piece != token:
                start = end
                break
        else:
            return len(text)
        pieces += 1
    return pieces
