"""How ``evidence.html`` writes metrics and counts."""

from __future__ import annotations

from edgebert.convert.evidence import Measurement
from edgebert.pages.text import capitalized

_METRICS = {
    "accuracy": ("accuracy", "Share of the texts that get the right label", 100),
    "macro_f1": ("macro F1", "Harmonic mean of precision and recall of a label, averaged over the labels", 100),
    "squad_f1": (
        "F1",
        "Harmonic mean of precision and recall over an answer's words, averaged over questions",
        100,
    ),
    "exact_match": ("exact match", "Share of the questions with an acceptable answer, to the word", 100),
    "top1_accuracy": ("top-1 accuracy", "Share of the masks whose likeliest token is the right one", 100),
    "top5_accuracy": ("top-5 accuracy", "Share of the masks with the right token among the five likeliest", 100),
    "spearman": ("Spearman correlation", "Rank correlation of the pairs' cosine similarities with the numbers", 1),
    "micro_f1": ("micro F1", "Harmonic mean of precision and recall over every decision on a label", 100),
    "entity_f1": ("entity F1", "Harmonic mean of precision and recall over entities found with the right extent", 100),
    "pearson": ("Pearson correlation", "Linear correlation of the outputs with the right answers", 1),
}


def metric_name(metric: str) -> str:
    """What people call a metric of a task, within a sentence."""
    return _METRICS[metric][0]


def metric_title(metric: str) -> str:
    """The name of a metric as a heading."""
    return capitalized(metric_name(metric))


def metric_meaning(metric: str) -> str:
    """What a metric says, without a full stop."""
    return _METRICS[metric][1]


def metric_scale(metric: str) -> int:
    """100 for a metric that is written in per cent, else 1."""
    return _METRICS[metric][2]


def metric_value(metric: str, value: float) -> str:
    """A value of a metric, in per cent where it is a share."""
    return f"{100 * value:.2f} %" if metric_scale(metric) == 100 else f"{value:.4f}"


def points(difference: float) -> str:
    """A difference of two metrics in points, i.e. hundredths, with its sign."""
    written = f"{100 * difference:+.2f}"
    return "0.00" if float(written) == 0 else written.replace("-", "\N{MINUS SIGN}")


def differing(measured: Measurement) -> int:
    """How many texts or tokens the artifact decides otherwise than float32."""
    return round((1 - measured.label_agreement) * measured.decisions)
