"""What a trimming did: ``trim.json``, a table for people, and a section of the model card."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgebert.compress.trim_counts import HELD_OUT_EACH, Changes
from edgebert.compress.trim_selection import REASONS

TRIM_NAME = "trim.json"
FORMAT = "edgebert-trim/1"


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """A file of texts: its path as given, the SHA-256 of its bytes, and the number of texts read from it."""

    path: str
    sha256: str
    texts: int


@dataclass(frozen=True, slots=True)
class TrimReport:
    """What was trimmed, from what, and what it changes.

    Attributes:
        command: the command line.
        checkpoint: the checkpoint, as given.
        checkpoint_files: the SHA-256 of each of its files that was read, by name.
        versions: versions of EdgeBERT and of the libraries.
        corpus: the files that tokens were counted in.
        min_count: how often a token had to occur in them.
        size: how many tokens there might be at most; ``None`` for any number.
        counted_texts: how many of their texts were counted.
        held_out: the file that the changes were measured on; ``None`` for texts of the corpus that were not counted.
        changes: how the held-out texts are tokenized now.
        vocabulary: rows of the embedding table, before and after.
        kept: tokens kept by reason, a key of ``edgebert.compress.trim_selection.REASONS``.
        rows_without_token: rows removed for which the tokenizer had no token.
        parameters: before and after; those of a tied projection once.
        stored_bytes: size of the files of weights, before and after.
        left_out: files of the checkpoint that were not copied, since they hold the old table.
    """

    command: tuple[str, ...]
    checkpoint: str
    checkpoint_files: Mapping[str, str]
    versions: Mapping[str, str]
    corpus: tuple[CorpusFile, ...]
    min_count: int
    size: int | None
    counted_texts: int
    held_out: CorpusFile | None
    changes: Changes
    vocabulary: tuple[int, int]
    kept: Mapping[str, int]
    rows_without_token: int
    parameters: tuple[int, int]
    stored_bytes: tuple[int, int]
    left_out: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it; a file of another version of the form has another ``format``."""
        return {"format": FORMAT, **dataclasses.asdict(self)}


def show(report: TrimReport) -> str:
    """The report for people."""
    changes, (before, after) = report.changes, report.vocabulary
    kept = "\n".join(f"  {count:>7,} {REASONS[reason]}" for reason, count in report.kept.items() if count)
    lines = [
        f"vocabulary   {before:,} -> {after:,} tokens ({_percent(after, before)})",
        f"parameters   {report.parameters[0]:,} -> {report.parameters[1]:,}",
        f"float32      {_mb(4 * report.parameters[0])} -> {_mb(4 * report.parameters[1])} MB "
        f"({_percent(report.parameters[1], report.parameters[0])})",
        f"as stored    {_mb(report.stored_bytes[0])} -> {_mb(report.stored_bytes[1])} MB",
        "",
        "kept, by the first reason that holds:",
        kept,
        "",
        f"Measured on {changes.texts:,} texts {_held_out(report)}:",
    ]
    if changes.texts:
        lines += [
            f"  {changes.changed_texts / changes.texts:.2%} of the texts are tokenized differently",
            f"  {changes.removed_tokens / max(changes.tokens, 1):.2%} of their tokens were removed; they have "
            f"{changes.tokens_after / max(changes.tokens, 1):.3f} times as many now",
            f"  unknown tokens: {changes.unknown:,} before, {changes.unknown_after:,} after; "
            f"{changes.newly_unknown_texts:,} texts have some only now",
        ]
    if report.left_out:
        lines += ["", f"Not copied, since they hold the old table: {', '.join(report.left_out)}"]
    return "\n".join(lines)


def card_section(report: TrimReport) -> str:
    """A section for the checkpoint's ``README.md``."""
    changes, (before, after) = report.changes, report.vocabulary
    measured = "No text was left to measure the change of tokenization on."
    if changes.texts:
        measured = (
            f"Of {changes.texts:,} texts {_held_out(report)}, "
            f"{changes.changed_texts / changes.texts:.2%} are tokenized differently."
        )
    return f"""
## Trimmed vocabulary

`edgebert trim-vocab` removed {before - after:,} of {before:,} tokens, and their rows of the embedding table.
It kept what it was told to of the tokens of {report.counted_texts:,} texts.
{measured}

A text whose tokens were all kept has the same tokens, and the same logits in float32; any other may have another
answer. A text without `[UNK]` has none now. `{TRIM_NAME}` holds the command, the files, the counts and the versions.
What this card says of the vocabulary, of size and of scores is about the checkpoint before.
"""


def _held_out(report: TrimReport) -> str:
    if report.held_out is not None:
        return f"of {report.held_out.path}"
    return f"of the corpus that were held out (one of {HELD_OUT_EACH}, not counted)"


def _percent(after: int, before: int) -> str:
    return f"{after / before - 1:+.1%}"


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f}"
