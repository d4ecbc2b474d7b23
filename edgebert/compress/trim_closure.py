"""Which tokens of a WordPiece vocabulary must stay so that no text becomes ``[UNK]`` that was not.

WordPiece reads a word from its beginning and takes the longest token that fits each time: one that begins a word, then
tokens that continue it. Where none fits, the whole word is ``[UNK]``. Let ``V`` be a vocabulary and ``K`` what is kept
of it.

**A word whose tokens in V are all in K has the same tokens in K.** By induction over the places in the word: K has no
token that V has not, so none longer than V's choice fits, and V's choice is in K.

**No word becomes unknown**, if K keeps every single character of V, as beginning and as continuation, and each
character in a token of V stands alone in V as well, where it stands (as beginning, or as continuation). For then a word
that V knows has single characters only that K has, and one of them fits wherever the longest match ends. A word that
V does not know has a character that stands in no token there, and K does not know it either: with such a vocabulary,
``[UNK]`` stays what it was. BERT's vocabularies are of this kind, and those of the trainers of ``tokenizers``.

In others, a character may stand in longer tokens alone. These tokens are kept as well. A word with such a character can
still be lost when another token of it is removed, and the tokens that stand for it instead end inside the longer one:
of ``un ##b ##cd`` without ``un``, ``u ##nbc`` ends before a ``##d`` that is no token. :func:`closed` finds the
tokens whose removal could do that, and keeps them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence, Set

_State = tuple[bool, str]
"""Two readings of one word, of which one is ahead: whether it is that in K, and by which characters."""


def closed(vocabulary: Iterable[str], wanted: Iterable[str], prefix: str) -> set[str]:
    """The wanted tokens and those that no text can do without.

    Of words that the vocabulary knows, none is unknown to the result. For a vocabulary in which each character stands
    alone, these are its single characters; for others, see the module. The search for tokens that cannot be removed
    takes any that follow one another for a possible word, as in the test of Sardinas and Patterson (1953) for unique
    decoding, so that it may keep more than it must.

    Args:
        vocabulary: the tokens; those that continue a word begin with ``prefix``.
        wanted: tokens to keep, of the vocabulary.
        prefix: what marks a token that continues a word, ``##`` in BERT's.
    """
    tokens = set(vocabulary)
    continuations = {token[len(prefix) :] for token in tokens if _continues(token, prefix)}
    beginnings = {token for token in tokens if not _continues(token, prefix)}
    kept = set(wanted)
    fragile_continuation = False
    for token in tokens:
        if _continues(token, prefix):
            body = token[len(prefix) :]
            fragile = not continuations.issuperset(body)
            fragile_continuation |= fragile
        else:
            body = token
            fragile = token[:1] not in beginnings or not continuations.issuperset(body[1:])
        if len(body) == 1 or fragile:
            kept.add(token)
    # A token that begins a word is taken whole, once kept: nothing can end inside it.
    while fragile_continuation and (lost := _dangerous(tokens, kept, continuations, prefix)):
        kept |= lost
    return kept


def _continues(token: str, prefix: str) -> bool:
    return token.startswith(prefix) and len(token) > len(prefix)


def _dangerous(tokens: Set[str], kept: Set[str], continuations: Set[str], prefix: str) -> set[str]:
    """The tokens not kept in whose place, in some word, K can end where no token fits and V does not."""
    kept_continuations = {token[len(prefix) :] for token in kept if _continues(token, prefix)}
    kept_beginnings = {token for token in kept if not _continues(token, prefix)}
    own, all_ = _Continuations(kept_continuations), _Continuations(continuations)
    begins: dict[str, _State] = {}
    for token in tokens - kept:
        if _continues(token, prefix):
            body, shorter = token[len(prefix) :], kept_continuations
        else:
            body, shorter = token, kept_beginnings
        begins[token] = (False, _rest(body, shorter))
    before: dict[_State, set[_State]] = {state: set() for state in begins.values()}
    lost: set[_State] = set()
    pending = list(before)
    while pending:
        state = pending.pop()
        kept_ahead, text = state
        if not kept_ahead and text[0] not in continuations and not own.longest(text):
            lost.add(state)
        for kept_next, rest in _followers(kept_ahead, text, all_ if kept_ahead else own):
            if (kept_next, rest) not in before:
                before[kept_next, rest] = set()
                pending.append((kept_next, rest))
            before[kept_next, rest].add(state)
    pending = list(lost)
    while pending:
        for state in before[pending.pop()] - lost:
            lost.add(state)
            pending.append(state)
    return {token for token, state in begins.items() if state in lost}


def _rest(body: str, kept: Set[str]) -> str:
    """What the longest kept token within a removed one leaves of it; its first character at least is kept."""
    length = next(length for length in range(len(body) - 1, 0, -1) if body[:length] in kept)
    return body[length:]


def _followers(kept_ahead: bool, text: str, behind: _Continuations) -> Iterator[_State]:
    """What the reading that is behind can take next, until both end at the same place."""
    longest = behind.longest(text)
    if longest and longest < len(text):
        yield kept_ahead, text[longest:]
    for token in behind.beyond(text):
        yield not kept_ahead, token[len(text) :]


class _Continuations:
    def __init__(self, tokens: Set[str]) -> None:
        self._tokens = tokens
        self._sorted: Sequence[str] = sorted(tokens)

    def longest(self, text: str) -> int:
        """The length of the longest token that the text begins with, 0 for none."""
        return next((length for length in range(len(text), 0, -1) if text[:length] in self._tokens), 0)

    def beyond(self, text: str) -> Iterator[str]:
        """The longer tokens that begin with the text."""
        for index in range(bisect_right(self._sorted, text), len(self._sorted)):
            if not self._sorted[index].startswith(text):
                return
            yield self._sorted[index]
