"""What every page has around its contents, and the elements that several pages have."""

from __future__ import annotations

from collections.abc import Iterable
from string import Template

from edgebert.pages.style import CARDS, STYLE
from edgebert.pages.text import escape

_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>$title</title>
<style>$style</style>
</head>
<body>
<h1>$heading</h1>
<p class="verdict">$verdict</p>
$body
</body>
</html>
""")

_FIGURE = Template("""\
<figure>
<h2>$title</h2>
$plot
<figcaption>$caption$key</figcaption>
</figure>
""")


def document(*, title: str, heading: str, verdict: str, body: str, style: str = "", cards_below: str = "80rem") -> str:
    """A whole page that needs nothing else: no script runs on it and nothing is fetched.

    Args:
        title: what a browser's tab shows, as plain text.
        heading: the name of what the page is about, as plain text.
        verdict: the sentence that a reader in a hurry needs, as plain text.
        body: the rest, as HTML.
        style: rules beside :data:`~edgebert.pages.style.STYLE`.
        cards_below: the width below which a table's rows are cards, since its columns have no room.
    """
    rules = f"{STYLE}{CARDS.substitute(width=cards_below)}{style}"
    return _PAGE.substitute(
        title=escape(title), heading=escape(heading), verdict=escape(verdict), body=body, style=rules
    )


def figure(title: str, plot: str, caption: str, *, key: str = "") -> str:
    """A plot with its heading and its caption, which are plain text; ``key`` is HTML at the caption's end."""
    return _FIGURE.substitute(title=escape(title), plot=plot, caption=escape(caption), key=key)


def figures(made: Iterable[str]) -> str:
    """Figures side by side where there is room; an empty string when there is none."""
    joined = "".join(made)
    return f'<div class="plots">{joined}</div>' if joined else ""


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """A list of terms, in plain text, and of what they are, as HTML."""
    items = "\n".join(f"<dt>{escape(term)}</dt><dd>{meaning}</dd>" for term, meaning in pairs)
    return f"<dl>\n{items}\n</dl>"


def table(rows: str) -> str:
    """A table of these parts (``<thead>``, ``<tbody>``), which scrolls by itself where it is too wide."""
    return f'<div class="scroll"><table>\n{rows}\n</table></div>'
