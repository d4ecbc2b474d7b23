"""From text to token ids, with windows for text that is longer than the model.

The checkpoint's own ``tokenizer.json`` does the work through the ``tokenizers`` package. Its saved truncation and
padding are ignored: they are left over from training, and would cut long texts silently.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import tokenizers
from numpy.typing import NDArray

from edgebert.errors import BundleError, InputError

Truncation = bool | Literal["error"]
"""What to do with text over the limit: ``False`` windows, ``True`` cut as ``transformers`` does, ``"error"`` refuse."""

OVERLAP = 0.25
"""The share of a window's text tokens that the next window repeats."""

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class _Segment:
    """Tokens ``start`` to ``stop`` of an encoded text; ``sequence`` is 0 for the text and 1 for its pair."""

    encoding: tokenizers.Encoding
    sequence: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Window:
    """One model input.

    Attributes:
        input_ids: int32 ``[length]``, special tokens included, not padded.
        fresh: how many tokens of the text, or of the windowed text of a pair, are here and in no earlier window.
        layout: the run of special tokens or the segment of text that each part of ``input_ids`` comes from.
    """

    input_ids: NDArray[np.int32]
    fresh: int
    layout: tuple[int | _Segment, ...]

    @property
    def offsets(self) -> list[tuple[int, int, int] | None]:
        """Per token ``(sequence, start, stop)`` in characters of the text as given; ``None`` for special tokens."""
        offsets: list[tuple[int, int, int] | None] = []
        for part in self.layout:
            if isinstance(part, int):
                offsets.extend([None] * part)
            else:
                spans = part.encoding.offsets[part.start : part.stop]
                offsets.extend((part.sequence, start, stop) for start, stop in spans)
        return offsets


class TextTokenizer:
    """A bundle's tokenizer. Keeps no state between calls, so that it is safe to use from many threads.

    Args:
        data: the bytes of ``tokenizer.json``.
        max_length: the longest window in tokens, special tokens included.

    Raises:
        BundleError: the file is no tokenizer that this ``tokenizers`` can read, or ``max_length`` leaves no room.
    """

    def __init__(self, data: bytes, *, max_length: int) -> None:
        try:
            self._tokenizer = tokenizers.Tokenizer.from_buffer(data)
        except Exception as error:  # the package raises plain Exception
            raise BundleError(
                f"tokenizer.json cannot be read by tokenizers {tokenizers.__version__}: {error}.",
                hint="Update the `tokenizers` package, or convert the checkpoint again.",
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.max_length = max_length
        self._single = self._frame(self._tokenizer.encode("a"), 1)
        self._pair = self._frame(self._tokenizer.encode("a", "a"), 2)
        if min(max_length - _special(self._single), max_length - _special(self._pair)) < 1:
            raise BundleError(
                f"A limit of {max_length} tokens leaves no room for text.", hint="Convert the checkpoint again."
            )

    def encode(self, text: str, pair: str | None = None, *, truncation: Truncation = False) -> tuple[Window, ...]:
        """Windows of at most ``max_length`` tokens that hold a text, or a text and its pair.

        One window when it fits. Longer text gives windows that overlap by :data:`OVERLAP`, each with its special
        tokens; of a pair, the longer text is windowed and the other is repeated whole in each.

        Raises:
            InputError: the input is too long and ``truncation`` is ``"error"``, or both texts of a pair are so long
                that windows of one would leave no room for the other.
        """
        encodings = [self._encode(text)] if pair is None else [self._encode(text), self._encode(pair)]
        frame = self._single if pair is None else self._pair
        counts = [len(encoding) for encoding in encodings]
        room = self.max_length - _special(frame)
        if sum(counts) <= room:
            return (_window(frame, _heads(encodings, counts), sum(counts)),)
        if truncation == "error":
            raise InputError(
                f"The input has {sum(counts) + _special(frame)} tokens; the limit is {self.max_length}.",
                hint="Shorten it, or pass truncation=False for windows over the whole text, or True to cut it.",
            )
        if truncation is True:
            counts = [room] if pair is None else _longest_first(counts[0], counts[1], room)
            return (_window(frame, _heads(encodings, counts), sum(counts)),)
        return self._windows(frame, encodings, room)

    def _windows(self, frame: _Frame, encodings: list[tokenizers.Encoding], room: int) -> tuple[Window, ...]:
        lengths = [len(encoding) for encoding in encodings]
        long = len(lengths) - 1 if lengths[-1] >= lengths[0] else 0
        segments = _heads(encodings, lengths)
        repeated = sum(lengths) - lengths[long]
        if repeated > room // 2:
            raise InputError(
                f"Both texts of the pair are long ({lengths[0]} and {lengths[-1]} tokens; "
                f"the limit for both together is {room}).",
                hint="Shorten the shorter one to half the limit, or pass truncation=True to cut both.",
            )
        size = room - repeated
        overlap = int(size * OVERLAP)
        windows = []
        end = 0
        while end < lengths[long]:
            start = max(end - overlap, 0)
            stop = min(start + size, lengths[long])
            segments[long] = _Segment(encodings[long], long, start, stop)
            windows.append(_window(frame, segments, stop - end))
            end = stop
        return tuple(windows)

    def _encode(self, text: str) -> tokenizers.Encoding:
        # A lone surrogate is valid in a Python string and not in UTF-8; one character for one keeps offsets right.
        return self._tokenizer.encode(_SURROGATE.sub("\ufffd", text), add_special_tokens=False)

    def _frame(self, encoding: tokenizers.Encoding, sequences: int) -> _Frame:
        """The special tokens before, between and after the texts, learnt from one encoded example."""
        frame: list[list[int]] = [[] for _ in range(sequences + 1)]
        seen = 0
        for token, sequence in zip(encoding.ids, encoding.sequence_ids, strict=True):
            if sequence is None:
                frame[seen].append(token)
            else:
                seen = sequence + 1
        if seen != sequences:
            raise BundleError(
                "tokenizer.json drops the letter 'a': it gives no token for it.",
                hint="Convert a checkpoint whose tokenizer has an unknown token.",
            )
        return tuple(tuple(part) for part in frame)


_Frame = tuple[tuple[int, ...], ...]


def _special(frame: _Frame) -> int:
    return sum(len(part) for part in frame)


def _heads(encodings: list[tokenizers.Encoding], counts: list[int]) -> list[_Segment]:
    """The first ``counts`` tokens of each text."""
    return [_Segment(e, i, 0, count) for i, (e, count) in enumerate(zip(encodings, counts, strict=True))]


def _window(frame: _Frame, segments: list[_Segment], fresh: int) -> Window:
    ids = list(frame[0])
    layout: list[int | _Segment] = [len(frame[0])]
    for segment, special in zip(segments, frame[1:], strict=True):
        ids += segment.encoding.ids[segment.start : segment.stop]
        ids += special
        layout += [segment, len(special)]
    return Window(np.array(ids, dtype=np.int32), fresh, tuple(layout))


def _longest_first(first: int, second: int, room: int) -> list[int]:
    """Tokens kept of each text of a pair: ``truncate_encodings`` of ``tokenizers``, strategy ``longest_first``."""
    shorter = min(first, second)
    if 2 * shorter <= room:
        longer = room - shorter
        return [shorter, longer] if first <= second else [longer, shorter]
    half, rest = divmod(room, 2)
    return [half, half + rest] if first <= second else [half + rest, half]
