"""Tokens that a tokenizer can never give, whatever the text."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, normalizers, pre_tokenizers


def impossible(tokenizer: Tokenizer, vocabulary: Iterable[str], prefix: str) -> set[str]:
    """The tokens that no word holds: those in which a character stands beside others that is always a word of its own.

    BERT's pre-tokenizer makes a word of each punctuation mark, and its normalizer puts blanks around each Chinese
    character, whatever stands beside them. So ``##!``, ``##中``, ``[unused7]`` and ``...`` are never given, though
    BERT's vocabularies have them. Of other pre-tokenizers and normalizers nothing is assumed: then there are none.

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
        if (continues or len(body) > 1) and any(map(is_alone, body)):
            found.add(token)
    return found
