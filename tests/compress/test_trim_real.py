"""The real checkpoint, trimmed to what SST-2's training texts need, on all rows of its development set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("optimum")

from tokenizers import Tokenizer  # noqa: E402

from edgebert.compress.trim import trim_vocabulary  # noqa: E402
from edgebert.convert.evaluation.texts import load_eval  # noqa: E402

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("EDGEBERT_SHARED", ROOT / ".." / "shared")).absolute()
CHECKPOINT = SHARED / "checkpoints" / "distilbert-cased-sst2"
DATA = SHARED / "data" / "sst2"

pytestmark = [
    # 872 texts by 66 million parameters, twice for each case: minutes, not seconds.
    pytest.mark.full,
    pytest.mark.skipif(
        not (CHECKPOINT.is_dir() and DATA.is_dir()), reason=f"no distilbert-cased-sst2 and SST-2 in {SHARED}"
    ),
]


class Model:
    def __init__(self, path: Path) -> None:
        self.model = transformers.AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32).eval()
        self.tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))

    def answer(self, text: str) -> tuple[list[str], Any]:
        encoding = self.tokenizer.encode(text)
        with torch.inference_mode():
            return encoding.tokens, self.model(input_ids=torch.tensor([encoding.ids])).logits[0]


@pytest.fixture(scope="module")
def before() -> list[tuple[list[str], Any]]:
    model = Model(CHECKPOINT)
    return [model.answer(text) for text in dev().inputs]


def dev() -> Any:
    return load_eval(DATA / "dev.tsv", ["NEGATIVE", "POSITIVE"], problem_type="single_label_classification")


@pytest.mark.parametrize(
    ("options", "smaller", "loss"),
    [
        ({"min_count": 4}, 0.21, 0.001),
        # What a quarter costs: docs/how-to/shrink-your-checkpoint.md.
        ({"size": 7500}, 0.25, 0.012),
    ],
)
def test_unchanged_texts_have_the_same_bits_and_accuracy_is_kept(
    before: list[tuple[list[str], Any]], tmp_path: Path, options: dict[str, int], smaller: float, loss: float
) -> None:
    report = trim_vocabulary(
        str(CHECKPOINT), tmp_path / "out", texts=[DATA / "train.tsv"], held_out=DATA / "dev.tsv", **options
    )
    assert report.parameters[1] <= (1 - smaller) * report.parameters[0]
    assert report.changes.newly_unknown_texts == 0
    model, rows = Model(tmp_path / "out"), dev()
    unchanged, right = 0, [0, 0]
    for text, label, (tokens, logits) in zip(rows.inputs, rows.labels, before, strict=True):
        now, after = model.answer(text)
        right[0] += int(logits.argmax()) == label
        right[1] += int(after.argmax()) == label
        if now == tokens:
            unchanged += 1
            assert torch.equal(after, logits)
    assert unchanged == report.changes.texts - report.changes.changed_texts > 300
    assert right[0] / len(rows.labels) == pytest.approx(0.8911, abs=5e-5)
    assert right[1] / len(rows.labels) >= right[0] / len(rows.labels) - loss
