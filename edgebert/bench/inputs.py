"""What a benchmark feeds to a model: texts of an exact length in tokens, and the user's own texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgebert.errors import DataError, InputError
from edgebert.runtime.tokenization import TextTokenizer


def read_texts(path: Path) -> list[str]:
    """Read a UTF-8 file of one text per line; blank lines are skipped.

    Raises:
        DataError: the file cannot be read, is not UTF-8, or holds no text.
    """
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(
            f"'{path}' cannot be read: {error.strerror}.", hint="Give a file of one text per line."
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"'{path}' is not UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}.",
            hint="Save it as UTF-8, one text per line.",
        ) from None
    # Not splitlines: a text may hold a form feed or a Unicode line separator.
    texts = [line for line in (line.rstrip("\r") for line in content.split("\n")) if line.strip()]
    if not texts:
        raise DataError(f"'{path}' holds no text.", hint="Give a file of one text per line.")
    return texts


def text_of_length(tokenizer: TextTokenizer, texts: Sequence[str], length: int) -> str:
    """A text of exactly ``length`` tokens, special tokens included: ``texts`` joined by blanks and cut.

    A cut inside a word may change how what is left of it is split, so that the count is checked, and another text
    taken for the first one when it is wrong.

    Args:
        tokenizer: the bundle's tokenizer.
        texts: texts that are not blank; they are repeated when they are too short.
        length: the number of tokens, at most ``tokenizer.max_length``.

    Raises:
        InputError: no text of ``texts`` can be cut to that length.
    """
    for first in range(len(texts)):
        joined = " ".join([*texts[first:], *texts[:first]])
        end = _end_of_token(tokenizer, joined, length)
        if end is None:
            # A text that is not blank has at least one token.
            joined = " ".join([joined] * length)
            end = _end_of_token(tokenizer, joined, length)
        cut = joined[:end]
        if cut and [len(window.input_ids) for window in tokenizer.encode(cut)] == [length]:
            return cut
    raise InputError(
        f"A text of {length} tokens cannot be made: the special tokens leave no room, or no word can be split there.",
        hint="Use another length.",
    )


def _end_of_token(tokenizer: TextTokenizer, text: str, length: int) -> int | None:
    """Where in ``text`` its last token ends if it is cut to ``length`` tokens; ``None`` when it has too few."""
    [window] = tokenizer.encode(text, truncation=True)
    ends = [offset[2] for offset in window.offsets if offset is not None]
    wanted = length - (len(window.input_ids) - len(ends))
    if wanted < 1:
        return 0
    return ends[wanted - 1] if wanted <= len(ends) else None
