"""A TOML value that knows where it stands, so that every refusal of a target file can name the place."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from typing import Any

from edgebert.errors import TargetError


class TargetField:
    """One value of a target file with its key path, as in ``artifact[1].precision``.

    Each method checks one kind of value and returns it, or raises one ``TargetError`` that names the file, the key
    path and the reason; its hint says what may stand there.
    """

    __slots__ = ("file", "path", "value")

    def __init__(self, value: object, path: str, file: str) -> None:
        self.value: Any = value
        self.path = path
        self.file = file

    def fault(self, reason: str, allowed: str) -> TargetError:
        """The error that this value is refused for ``reason``; ``allowed`` says what may stand here."""
        place = f"{self.file}: {self.path}" if self.path else self.file
        return TargetError(f"{place}: {reason}.", hint=f"Allowed: {allowed}.")

    def table(self, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, TargetField]:
        """A table with all ``required`` keys, some of the ``optional`` ones, and no other."""
        known = [*required, *optional]
        members = self.members(f"a table with the keys {', '.join(known)}")
        for key, member in members.items():
            if key not in known:
                raise member.fault(f"there is no such key{did_you_mean(key, known)}", ", ".join(known))
        for key in required:
            if key not in members:
                raise self._member(key, None).fault("the key is missing", f"all of {', '.join(required)}")
        return members

    def members(self, allowed: str) -> dict[str, TargetField]:
        """A table with any keys."""
        if not isinstance(self.value, dict):
            raise self.fault(f"is {show(self.value)}", allowed)
        return {key: self._member(key, value) for key, value in self.value.items()}

    def items(self, allowed: str) -> list[TargetField]:
        """A list of at least one item."""
        if not isinstance(self.value, list):
            raise self.fault(f"is {show(self.value)}", allowed)
        if not self.value:
            raise self.fault("is empty", allowed)
        return [TargetField(item, f"{self.path}[{index}]", self.file) for index, item in enumerate(self.value)]

    def text(self, longest: int = 200) -> str:
        """A printable, non-blank text of one line."""
        allowed = f"a text of 1 to {longest} printable characters"
        if not isinstance(self.value, str) or not self.value.isprintable() or not self.value.strip():
            raise self.fault(f"is {show(self.value)}", allowed)
        if len(self.value) > longest:
            raise self.fault(f"has {len(self.value)} characters", allowed)
        return self.value

    def choice(self, options: Iterable[str], what: str) -> str:
        """One of the given texts; ``what`` names what kind of thing they are."""
        options = list(options)
        if not isinstance(self.value, str) or self.value not in options:
            guess = did_you_mean(self.value, options) if isinstance(self.value, str) else ""
            raise self.fault(f"{show(self.value)} is not {what}{guess}", ", ".join(options))
        return self.value

    def choices(self, options: Iterable[str], what: str) -> tuple[str, ...]:
        """A list of different texts out of the given ones."""
        options = list(options)
        fields = self.items(f"a list of {', '.join(options)}")
        chosen: list[str] = []
        for field in fields:
            if field.choice(options, what) in chosen:
                raise field.fault(f"{show(field.value)} stands there twice", "each once")
            chosen.append(field.value)
        return tuple(chosen)

    def integer(self, low: int, high: int) -> int:
        """An integer in [low, high]."""
        # TOML's true is no number, although Python's bool is an int.
        if not isinstance(self.value, int) or isinstance(self.value, bool) or not low <= self.value <= high:
            raise self.fault(f"is {show(self.value)}", f"an integer from {low} to {high}")
        return self.value

    def number(self, allowed: str, high: float = math.inf, *, above_zero: bool = False) -> float:
        """A finite number in [0, high], or (0, high] with ``above_zero``; ``allowed`` says it in words."""
        good = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        # Compared before it is converted: an integer may be too large for a float. NaN fails every comparison.
        if not good or not 0 <= self.value <= min(high, 1e30) or (above_zero and self.value == 0):
            raise self.fault(f"is {show(self.value)}", allowed)
        return float(self.value)

    def _member(self, key: str, value: object) -> TargetField:
        name = key if key.isascii() and key.replace("-", "_").isidentifier() else show(key)
        return TargetField(value, f"{self.path}.{name}" if self.path else name, self.file)


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` when one of ``options`` is spelled like ``word``, else nothing."""
    close = difflib.get_close_matches(word[:100], list(options), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def show(value: object) -> str:
    """A value for a message: short, printable, and containers by their kind only, for they may be huge."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, int) and value.bit_length() > 64:
        return f"an integer of {value.bit_length()} bits"
    text = ascii(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
