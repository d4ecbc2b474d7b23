"""A JSON value that knows where it stands, so that every refusal can name the place.

``Field`` is what ``edgebert.bundle.manifest`` and ``edgebert.bundle.recipe`` read with: each method checks one kind of
value and either returns it or raises one ``ManifestError`` that names the document, the JSON path, the reason and what
is allowed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgebert.bundle.limits import MAX_MANIFEST_BYTES, MAX_TEXT
from edgebert.bundle.schema import MANIFEST_NAME
from edgebert.errors import ManifestError

HINT = "The bundle is damaged or was not written by EdgeBERT: copy it again, or convert the checkpoint again."


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON document that is read strictly: what messages call it, and the most bytes that it may have."""

    name: str
    kind: str
    limit: int


MANIFEST = Document(MANIFEST_NAME, "a manifest", MAX_MANIFEST_BYTES)

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
# Control characters and line separators would break one-line output; lone surrogates are not UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class _Repeated(dict[str, Any]):
    """An object that gives the same key twice; kept so that ``Field.object`` can name where it stands."""

    key = ""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen = dict(pairs)
    if len(seen) == len(pairs):
        return seen
    repeated = _Repeated(seen)
    keys = [key for key, _ in pairs]
    repeated.key = next(key for index, key in enumerate(keys) if key in keys[:index])
    return repeated


def read_json(data: bytes, document: Document = MANIFEST) -> Field:
    """Decodes the bytes of a document: UTF-8 without a byte order mark, one JSON value, no longer than its limit.

    NaN, infinite numbers and repeated keys are let through here and refused by ``Field``, which knows where they stand.

    Raises:
        ManifestError: the bytes are not such a text.
    """
    if len(data) > document.limit:
        raise ManifestError(
            f"{document.name} has {len(data)} bytes; {document.kind} has at most {document.limit}.", hint=HINT
        )
    try:
        return Field(json.loads(data.decode("utf-8"), object_pairs_hook=_pairs), "", document)
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8 (byte {error.start})"
    except RecursionError:
        reason = "is nested too deeply"
    except ValueError as error:
        reason = f"is not JSON ({error})"
    raise ManifestError(f"{document.name} {reason}.", hint=HINT)


class Field:
    """One JSON value with its path from the top of its document, as in ``artifacts[2].shapes.buckets``."""

    __slots__ = ("document", "path", "value")

    def __init__(self, value: object, path: str, document: Document = MANIFEST) -> None:
        self.value: Any = value
        self.path = path
        self.document = document

    def fault(self, reason: str, allowed: str) -> ManifestError:
        """The error that this value is refused for ``reason``; ``allowed`` says what may stand here."""
        place = f"{self.path}: " if self.path else ""
        return ManifestError(f"{self.document.name}: {place}{reason}; allowed: {allowed}.", hint=HINT)

    def object(self, keys: Sequence[str]) -> dict[str, Field]:
        """An object with exactly these keys."""
        allowed = ", ".join(keys) or "none"
        value = self._object(f"an object with the keys {allowed}")
        for key in value:
            if key not in keys:
                raise self._member(key).fault("unknown key", allowed)
        for key in keys:
            if key not in value:
                raise self._member(key).fault("missing key", f"all of {allowed}")
        return {key: self._member(key) for key in keys}

    def entries(self, minimum: int, maximum: int) -> dict[str, Field]:
        """An object with free keys."""
        allowed = f"an object with {minimum} to {maximum} keys"
        value = self._object(allowed)
        if not minimum <= len(value) <= maximum:
            raise self.fault(f"has {len(value)} keys", allowed)
        return {key: self._member(key) for key in value}

    def array(self, minimum: int, maximum: int) -> list[Field]:
        """An array of so many items."""
        allowed = f"an array of {minimum} to {maximum} items"
        if not isinstance(self.value, list):
            raise self.fault(f"is {_kind(self.value)}", allowed)
        if not minimum <= len(self.value) <= maximum:
            raise self.fault(f"has {len(self.value)} items", allowed)
        return [Field(item, f"{self.path}[{index}]", self.document) for index, item in enumerate(self.value)]

    def text(self, maximum: int) -> str:
        """A printable text of 1 to ``maximum`` characters."""
        allowed = f"a text of 1 to {maximum} characters without control characters"
        value = self._string(allowed)
        if not 1 <= len(value) <= maximum:
            raise self.fault(f"has {len(value)} characters", allowed)
        if _UNPRINTABLE.search(value):
            raise self.fault(f"{_show(value)} has a control character or a lone surrogate", allowed)
        return value

    def argument(self) -> str:
        """A command-line argument: any text, empty too, without NUL."""
        allowed = f"a text of 0 to {MAX_TEXT} characters without NUL and lone surrogates"
        value = self._string(allowed)
        if len(value) > MAX_TEXT or re.search("[\x00\ud800-\udfff]", value):
            raise self.fault(f"{_show(value)} is no command-line argument", allowed)
        return value

    def choice(self, options: Sequence[str]) -> str:
        """One of the given texts."""
        return self.match(re.compile("|".join(map(re.escape, options))), " or ".join(map(repr, options)))

    def match(self, pattern: re.Pattern[str], allowed: str) -> str:
        """A text that the pattern matches as a whole."""
        value = self._string(allowed)
        if not pattern.fullmatch(value):
            raise self.fault(f"is {_show(value)}", allowed)
        return value

    def flag(self) -> bool:
        """``true`` or ``false``."""
        if not isinstance(self.value, bool):
            raise self.fault(f"is {_kind(self.value)}", "true or false")
        return self.value

    def integer(self, low: int, high: int) -> int:
        """An integer in [low, high], written without fraction or exponent."""
        allowed = f"an integer from {low} to {high}"
        # JSON's true is no number, although Python's bool is an int.
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.fault(f"is {_kind(self.value)}", allowed)
        if not low <= self.value <= high:
            raise self.fault(f"is {_digits(self.value)}", allowed)
        return self.value

    def number(self, low: float, high: float, allowed: str) -> float:
        """A finite number in [low, high]."""
        if not isinstance(self.value, (int, float)) or isinstance(self.value, bool):
            raise self.fault(f"is {_kind(self.value)}", allowed)
        try:
            value = float(self.value)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value) or not low <= value <= high:
            raise self.fault(f"is {value}", allowed)
        return value

    def _object(self, allowed: str) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            raise self.fault(f"is {_kind(self.value)}", allowed)
        if isinstance(self.value, _Repeated):
            raise self._member(self.value.key).fault("the key stands there twice", "each key once")
        return self.value

    def _string(self, allowed: str) -> str:
        if not isinstance(self.value, str):
            raise self.fault(f"is {_kind(self.value)}", allowed)
        return self.value

    def _member(self, key: str) -> Field:
        if not _PLAIN_KEY.fullmatch(key):
            path = f"{self.path}[{_show(key)}]"
        else:
            path = f"{self.path}.{key}" if self.path else key
        return Field(self.value.get(key), path, self.document)


def _kind(value: object) -> str:
    # Containers are named, never printed: they may be huge or nested deeply.
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, str):
        return f"the text {_show(value)}"
    return f"the integer {_digits(value)}" if isinstance(value, int) else f"the number {value}"


def _digits(value: int) -> str:
    return str(value) if value.bit_length() <= 64 else f"an integer of {value.bit_length()} bits"


def _show(text: str) -> str:
    # ascii() keeps terminal escapes and surrogates out of messages.
    return ascii(text) if len(text) <= 60 else f"{text[:57]!a}..."
