"""The model card of a student: YAML front matter, then Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from edgebert.compress.distillation.facts import FACTS_NAME, Facts

CARD_NAME = "README.md"
PLOT_NAME = "losses.svg"


def model_card(facts: Facts, name: str) -> str:
    """The card.

    Args:
        facts: what was done.
        name: the model's.
    """
    student, recipe = facts.student, facts.recipe
    parts = [
        _front_matter(facts),
        f"# {name}",
        f"A DistilBERT for {facts.task}, distilled from `{_short(str(facts.teacher['source']))}` with EdgeBERT.",
        "## Scores",
        _scores(facts),
        "## Model",
        _table(
            {
                "architecture": f"`{student['architecture']}`, {student['layers']} layers, width {student['dim']}, "
                f"{student['heads']} heads, feed-forward {student['hidden_dim']}",
                "parameters": f"{student['parameters']:,}; the teacher has {facts.teacher['parameters']:,}",
                "tokenizer": "the teacher's",
                "began as": _start(facts),
            }
        ),
        "## Training",
        _table(
            {
                "data": "<br>".join(
                    f"`{_short(file.path)}`: {file.examples:,} examples, SHA-256 `{file.sha256}`"
                    for file in facts.data.files
                ),
                "examples": f"{facts.data.examples:,}, of which {facts.data.labelled:,} have a label; "
                f"{facts.data.tokens:,} tokens, the longest has {facts.data.longest}"
                if facts.data.label_width
                else f"{facts.data.examples:,}; {facts.data.tokens:,} tokens, the longest has {facts.data.longest}; "
                "15 % of the words to be predicted, chosen anew each time",
                "loss": f"{recipe['alpha_kl']:g} x KL divergence from the teacher at temperature "
                f"{recipe['temperature']:g}, {recipe['alpha_task']:g} x "
                f"{'masked-word' if facts.task == 'fill-mask' else 'task'} loss"
                f"{'' if facts.task == 'fill-mask' or facts.data.labelled else ' (off: no labels)'}, "
                f"{recipe['alpha_cos']:g} x cosine of the last hidden states (Sanh et al. 2019, arXiv 1910.01108)",
                "optimizer": f"AdamW, learning rate {recipe['learning_rate']:g} (rises over the first "
                f"{recipe['warmup']:.0%} of the steps, then falls to 0), weight decay {recipe['weight_decay']:g}, "
                f"batch {recipe['batch_size']}",
                "run": f"{facts.steps:,} steps, seed {recipe['seed']}, {recipe['precision']}, {facts.processes} "
                f"process{'es' if facts.processes > 1 else ''} on {facts.device}, {facts.seconds / 60:.1f} minutes"
                + (f", begun {facts.runs} times" if facts.runs > 1 else ""),
                "versions": ", ".join(f"{tool} {version}" for tool, version in facts.versions.items()),
            }
        ),
    ]
    if facts.curve:
        parts.append(f"![Losses over the steps: weighted sum, KL, task, cosine]({PLOT_NAME})")
    parts += [f"```\n{shlex.join(facts.command)}\n```" if facts.command else "", f"All of it is in `{FACTS_NAME}`."]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(facts: Facts) -> str:
    lines = ["---", "library_name: transformers", f"pipeline_tag: {facts.task}", "tags: [distilbert, distillation]"]
    if facts.evaluation is not None:
        lines.append(f"metrics: [{', '.join(facts.evaluation.student)}]")
    return "\n".join([*lines, "---"])


def _scores(facts: Facts) -> str:
    measured = facts.evaluation
    if measured is None:
        return "Not measured: there was no evaluation file."
    rows = [
        f"| {name} | {measured.teacher[name]:.4f} | {value:.4f} | {_kept(value, measured.teacher[name])} |"
        for name, value in measured.student.items()
    ]
    head = ["| metric | teacher | student | kept |", "|---|---:|---:|---:|"]
    told = f"On the {measured.rows:,} rows of `{_short(measured.path)}` (SHA-256 `{measured.sha256}`), in float32."
    return "\n".join([*head, *rows, "", told])


def _kept(student: float, teacher: float) -> str:
    return f"{student / teacher:.1%}" if teacher > 0 else "-"


def _start(facts: Facts) -> str:
    if facts.init is not None:
        return f"`{_short(str(facts.init['source']))}`"
    taken = facts.student["taken"]
    if taken is None:
        return "the teacher's embeddings on their principal axes; the rest random"
    return f"the teacher's embeddings, head and layers {', '.join(map(str, taken))}"


def _table(rows: Mapping[str, str]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


def _short(path: str) -> str:
    """A file or folder by its last part: a card does not tell how somebody's disk is laid out."""
    return Path(path).name if Path(path).exists() else path
