"""What peers share, with a stand-in for the backend."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from numpy.typing import NDArray
from serving import cpu
from serving.optimum_onnx import write_tokenizer
from serving.script import Script, copy_texts
from serving.source import CALIBRATION_TEXTS, Source

from tests.benchmarks.peers.conftest import Inputs

TEXTS = ["good " * place for place in (7, 1, 30, 2, 3, 12, 1)]


class Counter(Script):
    """Says POSITIVE of texts with an odd number of tokens, by the mask; notes the shapes of batches."""

    def __init__(self, files: str) -> None:
        super().__init__(files, max_tokens=20)
        self.shapes: list[tuple[int, ...]] = []

    def logits(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        self.shapes.append(ids.shape)
        assert ids.dtype == mask.dtype == np.int64 and not ids[mask == 0].any()
        odd = mask.sum(axis=1) % 2
        return np.stack([1 - odd, odd], axis=1).astype(np.float32)


@pytest.fixture
def script(inputs: Inputs, tmp_path: Path) -> Counter:
    copy_texts(Source(inputs.checkpoint, inputs.data, None), tmp_path)
    return Counter(str(tmp_path))


def test_a_script_sorts_by_length_and_answers_in_order(script: Counter) -> None:
    words = [min(text.count("good"), 18) for text in TEXTS]  # cut at 20 tokens, not at the 12 of the checkpoint's file
    expected = ["POSITIVE" if count % 2 else "NEGATIVE" for count in words]
    assert script.many(TEXTS, 3) == expected
    assert script.shapes == [(3, 4), (3, 14), (1, 20)]
    script.shapes.clear()
    assert [script.one(text) for text in TEXTS] == expected
    assert script.shapes == [(1, count + 2) for count in words]


def test_calibration_texts_are_spread_over_the_training_set(tmp_path: Path) -> None:
    lines = [f"text {place}\t{place % 2}" for place in range(1000)]
    (tmp_path / "train.tsv").write_text("\n".join(["sentence\tlabel", *lines]) + "\n")
    texts = Source(tmp_path, tmp_path, None).calibration()
    assert len(texts) == CALIBRATION_TEXTS and texts[:2] == ["text 0", "text 3"]
    with pytest.raises(ValueError, match="needs no other"):
        _ = Source(tmp_path, tmp_path, None).needed


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"tokenizer_class": "TokenizersBackend", "pad_token": "[PAD]", "backend": "tokenizers"},
            {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]",
             "model_input_names": ["input_ids", "attention_mask"]},
        ),
        ({"tokenizer_class": "DistilBertTokenizerFast", "do_lower_case": False}, None),
    ],
)  # fmt: skip
def test_a_tokenizer_of_transformers_5_is_named_as_4_knows_it(
    settings: dict[str, object], expected: dict[str, object] | None, inputs: Inputs, tmp_path: Path
) -> None:
    checkpoint, out = tmp_path / "checkpoint", tmp_path / "out"
    checkpoint.mkdir()
    out.mkdir()
    (checkpoint / "tokenizer.json").write_bytes((inputs.checkpoint / "tokenizer.json").read_bytes())
    (checkpoint / "tokenizer_config.json").write_text(json.dumps(settings))
    write_tokenizer(checkpoint, out)
    assert json.loads((out / "tokenizer_config.json").read_text()) == (expected or settings)
    assert tokenizers.Tokenizer.from_file(str(out / "tokenizer.json")).encode("good").tokens[1] == "good"


@pytest.mark.parametrize(
    ("flags", "saturates"),
    [({"avx2"}, True), ({"avx2", "avx512f"}, True), ({"avx2", "avx_vnni"}, False), ({"asimd"}, False), (set(), False)],
)
def test_weights_keep_to_7_bits_on_x86_without_vnni(
    flags: set[str], saturates: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu, "flags", lambda: flags)
    assert cpu.saturates() is saturates
