"""A small WordPiece vocabulary for one kind of text, cut out of a teacher's vocabulary."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tokenizers import Tokenizer
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from edgebert.errors import DataError

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PREFIX = "##"

_LETTERS_AND_DIGITS = string.ascii_lowercase + string.digits
_REQUIRED = (
    *SPECIAL_TOKENS,
    *string.punctuation,
    *_LETTERS_AND_DIGITS,
    *(PREFIX + character for character in _LETTERS_AND_DIGITS),
)


def word_counts(texts: Iterable[str]) -> Counter[str]:
    """Counts the words of the texts, as the tokenizer of :func:`build_tokenizer` splits and lower-cases them."""
    normalizer, pre_tokenizer = _normalizer(), BertPreTokenizer()
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text)))
    return counts


def select_vocabulary(
    words: Mapping[str, int], teacher: Mapping[str, int], *, size: int, min_word_count: int
) -> list[str]:
    """Chooses the entries of a vocabulary; the position of an entry is its id.

    The five special tokens come first, then what any printable ASCII text needs: each punctuation mark, and each
    lower-case letter and digit both as the beginning and as the continuation of a word. The rest are whole words that
    occur often, whether or not the teacher has them as one entry, and the teacher's pieces of the rarer words, most
    frequent first.

    Args:
        words: the corpus, as :func:`word_counts` gives it.
        teacher: the teacher's WordPiece vocabulary (entry to id).
        size: the largest number of entries.
        min_word_count: how often a word must occur to be kept whole.

    Raises:
        DataError: ``size`` is too small for the entries that any text needs.
    """
    if size < len(_REQUIRED):
        raise DataError(
            f"a vocabulary of {size} entries cannot hold the {len(_REQUIRED)} that printable ASCII needs.",
            hint=f"Ask for at least {len(_REQUIRED)}.",
        )
    pieces = WordPiece(vocab=dict(teacher), unk_token="[UNK]")
    candidates: Counter[str] = Counter()
    for word, count in words.items():
        if count >= min_word_count:
            candidates[word] += count
        else:
            for token in pieces.tokenize(word):
                candidates[token.value] += count
    taken = set(_REQUIRED)
    frequent = sorted(candidates.items(), key=lambda entry: (-entry[1], entry[0]))
    chosen = [entry for entry, _ in frequent if entry not in taken]
    return [*_REQUIRED, *chosen[: size - len(_REQUIRED)]]


def build_tokenizer(vocabulary: Sequence[str]) -> Tokenizer:
    """An uncased BERT tokenizer over the vocabulary: ``[CLS] text [SEP]``, no truncation, no padding.

    Args:
        vocabulary: entries by id, the special tokens first, as :func:`select_vocabulary` gives them.
    """
    ids = {entry: index for index, entry in enumerate(vocabulary)}
    tokenizer = Tokenizer(WordPiece(vocab=ids, unk_token="[UNK]", continuing_subword_prefix=PREFIX))
    tokenizer.normalizer = _normalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    tokenizer.decoder = WordPieceDecoder(prefix=PREFIX)
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer


def teacher_pieces(vocabulary: Sequence[str], teacher: Mapping[str, int]) -> list[list[int]]:
    """For each entry, the teacher's ids that spell it: one for an entry both have, several for a new whole word."""
    wordpiece = WordPiece(vocab=dict(teacher), unk_token="[UNK]")
    return [
        [teacher[entry]] if entry in teacher else [token.id for token in wordpiece.tokenize(entry)]
        for entry in vocabulary
    ]


def _normalizer() -> BertNormalizer:
    return BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=True, lowercase=True)
