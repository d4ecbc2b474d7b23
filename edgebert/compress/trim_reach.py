"""Tokens that a tokenizer can never give, whatever the text."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from tokenizers import Tokenizer, normalizers, pre_tokenizers


def impossible(tokenizer: Tokenizer, vocabulary: Iterable[str], prefix: str) -> set[str]:
    """The tokens that no word holds: with a character that is never left, or beside others though it is always alone.

    BERT's pre-tokenizer makes a word of each punctuation mark, and its normalizer puts blanks around each Chinese
    character, whatever stands beside them. So ``##!``, ``##中``, ``[unused7]`` and ``...`` are never given, though
    BERT's vocabularies have them. A normalizer that lower-cases leaves no capital and strips accents. What it leaves
    is what it makes of all characters there are, since it replaces each of them whatever stands beside it. Of other
    pre-tokenizers and normalizers nothing is assumed: then there are none.

    Args:
        tokenizer: the tokenizer; only its normalizer and its pre-tokenizer are asked.
        vocabulary: the tokens, without added ones, which are found by other means.
        prefix: what marks a token that continues a word.
    """
    normalizer, pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    if not isinstance(normalizer, normalizers.BertNormalizer):
        return set()
    if not isinstance(pre_tokenizer, pre_tokenizers.BertPreTokenizer):
        return set()
    characters = (chr(code) for code in range(sys.maxunicode + 1) if not _is_surrogate(code))
    left = frozenset(normalizer.normalize_str("".join(characters)))
    alone: dict[str, bool] = {}

    def is_alone(character: str) -> bool:
        if character not in alone:
            words = pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(f"a{character}a"))
            alone[character] = [word for word, _ in words] == ["a", character, "a"]
        return alone[character]

    found = set()
    for token in vocabulary:
        continues = token.startswith(prefix) and len(token) > len(prefix)
        body = token[len(prefix) :] if continues else token
        if not left.issuperset(body) or ((continues or len(body) > 1) and any(map(is_alone, body))):
            found.add(token)
    return found


def _is_surrogate(code: int) -> bool:
    return 0xD800 <= code < 0xE000  # halves of a pair, which no text has
