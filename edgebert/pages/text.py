"""How pages write texts and sizes."""

from __future__ import annotations

import html
import re

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def escape(text: str) -> str:
    """``text`` as HTML, also as the value of a quoted attribute; characters that no page may hold become U+FFFD."""
    return html.escape(_FORBIDDEN.sub("\ufffd", text))


def capitalized(text: str) -> str:
    """``text`` as the beginning of a sentence."""
    return text[:1].upper() + text[1:]


def megabytes(size: int) -> str:
    """A number of bytes in MB (a million bytes), to three digits or more."""
    return f"{size / 1e6:,.1f} MB" if size >= 10e6 else f"{size / 1e6:.3g} MB"
