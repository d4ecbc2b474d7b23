"""``frontier.html``: the result of a search, for the person who decides what ships.

One self-contained page without script or external resource. All text that comes from users is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edgebert.compress.search.budget import minutes
from edgebert.compress.search.plot import scatter
from edgebert.compress.search.report import LATENCY, MEASURED, SIZE, Frontier
from edgebert.compress.search.table import header, remarks, rows
from edgebert.convert.html_text import metric_name, metric_scale, metric_title
from edgebert.pages import frame
from edgebert.pages.text import capitalized, escape

_STYLE = """
.plots{grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr))}
svg .kept{fill:var(--ink)}svg .beaten{fill:var(--paper)}.frontier{stroke:var(--onnx);stroke-width:1.6}
tr{border-bottom:1px solid var(--line)}td:first-child{font-weight:600}td{white-space:nowrap}
.quiet{color:var(--soft)}
"""


def to_html(frontier: Frontier) -> str:
    """The result as one HTML page that needs nothing else.

    Args:
        frontier: the result; points may lack every measurement but the checkpoint's own conversion.

    Returns:
        The page, which encodes as UTF-8 whatever characters the report's names hold.
    """
    name = _short(frontier.checkpoint)
    body = [
        _plots(frontier),
        "<h2>Points</h2>",
        frame.table(_table(frontier)),
        _remarks(frontier),
        "<h2>What the columns say</h2>",
        _definitions(_columns(frontier)),
        "<h2>How each was made</h2>",
        "<p>In an empty folder. What a later point begins with stands among its commands.</p>",
        _commands(frontier),
        "<h2>What it was measured on</h2>",
        _definitions(_facts(frontier)),
    ]
    return frame.document(
        title=f"{name}: size, {metric_name(frontier.metric)} and latency",
        heading=name,
        verdict=_verdict(frontier),
        body="\n".join(body),
        style=_STYLE,
    )


def _verdict(frontier: Frontier) -> str:
    measured = [point for point in frontier.points if point.status == MEASURED]
    kept = frontier.on_frontier()
    best = [name for name in (point.name for point in measured) if name in kept[SIZE] or name in kept[LATENCY]]
    said = f"{len(measured)} of {len(frontier.points)} points measured in {minutes(frontier.spent)}. "
    return f"{said}No other point is smaller or faster and as good as: {', '.join(best)}."


def _plots(frontier: Frontier) -> str:
    scale = metric_scale(frontier.metric)
    axis = f"{metric_title(frontier.metric)}{', %' if scale == 100 else ''}"
    kept = frontier.on_frontier()
    measured = [point for point in frontier.points if point.score is not None]
    sizes = {p.name: (p.bytes / 1e6, scale * p.score) for p in measured if p.bytes is not None and p.score is not None}
    times = {p.name: (p.latency.p50, scale * p.score) for p in measured if p.latency and p.score is not None}
    caption = (
        "Further up and further left is better. Filled: no other point is as cheap and better. Dashed: the checkpoint."
    )
    figures = []
    for title, points, names, x in (
        ("over size", sizes, kept[SIZE], "size of the best artifact in MB"),
        ("over latency", times, kept[LATENCY], "latency in ms, batch 1, p50"),
    ):
        plot = scatter(points, names, x=x, y=axis, whole=frontier.whole.name)
        if plot:
            figures.append(frame.figure(f"{metric_title(frontier.metric)} {title}", plot, caption))
    return frame.figures(figures)


def _table(frontier: Frontier) -> str:
    titles = header(frontier)
    numeric = {index for index, title in enumerate(titles) if index > 2 and title != titles[-1]}

    def cells(tag: str, row: list[str]) -> str:
        shown = []
        for index, (title, cell) in enumerate(zip(titles, row, strict=True)):
            kind = ' class="n"' if index in numeric else ""
            shown.append(f'<{tag}{kind} data-label="{escape(title)}">{escape(cell)}</{tag}>')
        return f"<tr>{''.join(shown)}</tr>"

    body = "\n".join(cells("td", row) for row in rows(frontier))
    return f"<thead>{cells('th', titles)}</thead>\n<tbody>{body}</tbody>"


def _remarks(frontier: Frontier) -> str:
    found = remarks(frontier)
    return f"<ul>{''.join(f'<li>{escape(remark)}</li>' for remark in found)}</ul>" if found else ""


def _columns(frontier: Frontier) -> Iterator[tuple[str, str]]:
    yield "point", "Its name. The checkpoint is what was given; every other point was made of it."
    yield (
        "status",
        "Measured: an artifact passed its gate. Refused: none did. Failed: it could not be made. Not tried: no time.",
    )
    yield "artifact", "The one that a device of the target prefers of those that passed."
    yield "MB, x", "Size of its files in million bytes, and as a share of the checkpoint's artifact."
    yield (
        f"{metric_name(frontier.metric)}, lost",
        "Of that artifact on the evaluation file, and how much less than the checkpoint's artifact.",
    )
    if frontier.measuring is not None:
        rounds = len(frontier.measuring.order)
        yield (
            "ms, x",
            f"Latency at batch 1 on {frontier.measuring.texts}: the median over {rounds} rounds of the rounds' "
            "medians, and the median of the rounds' ratios to the checkpoint's artifact. All points were measured in "
            "each round, in an order drawn anew.",
        )
    yield "best in", "Size, latency: no other point is as small, or as fast, and better."


def _commands(frontier: Frontier) -> str:
    parts = []
    for point in frontier.points:
        if point.commands:
            lines = escape("\n".join(point.commands))
            steps = f", {point.steps:,} steps" if point.steps else ""
            parts.append(
                f"<h3>{escape(point.name)}</h3><p class=quiet>{escape(capitalized(point.title) + steps)}; "
                f"{escape(minutes(point.seconds))}.</p><pre>{lines}</pre>"
            )
    return "\n".join(parts)


def _facts(frontier: Frontier) -> Iterator[tuple[str, str]]:
    yield "Checkpoint", f"{frontier.checkpoint}, {frontier.whole.parameters:,} parameters"
    yield "Task", frontier.task
    evaluation = frontier.evaluation
    yield "Evaluation file", f"{evaluation['path']}, {evaluation['rows']:,} rows, SHA-256 {evaluation['sha256']}"
    yield "Data", "; ".join(f"{file['path']}, SHA-256 {file['sha256']}" for file in frontier.data)
    yield "Target", frontier.target
    yield "Time", f"{minutes(frontier.spent)} of {minutes(frontier.budget)}"
    machine = frontier.machine
    yield "Machine", f"{machine['model']}, {machine['physical_cores']} cores, {machine['memory_bytes'] / 1e9:.1f} GB"
    yield "Tools", ", ".join(f"{name} {version}" for name, version in frontier.versions.items())
    yield "Ended at", frontier.created


def _definitions(pairs: Iterable[tuple[str, str]]) -> str:
    return frame.definitions((term, f"<bdi>{escape(meaning)}</bdi>") for term, meaning in pairs)


def _short(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2] or path
