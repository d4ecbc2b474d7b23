"""The tokenizer must fit the model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("optimum")


from edgebert.convert.checkpoint import load_checkpoint
from edgebert.errors import CheckpointError
from tests.convert.checkpoints import (
    VOCABULARY,
    edit_json,
    refusal,
    save_checkpoint,
)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture
def tiny(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "tiny"))


def edit_tokenizer(path: Path, edit: Callable[[dict], None]) -> None:
    value = json.loads((path / "tokenizer.json").read_text())
    edit(value)
    (path / "tokenizer.json").write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("edit", "part"),
    [
        (lambda t: t["model"]["vocab"].update({"extra": 14}), "ids up to 14, the embedding table only 14 rows"),
        (lambda t: t.update(post_processor=None), "does not wrap a text"),
        (lambda t: t.update(model={"type": "WordLevel", "vocab": {"[UNK]": 1}, "unk_token": "[UNK]"}), "WordLevel"),
        (lambda t: t.pop("model"), "cannot be loaded|not a tokenizer"),
        (lambda t: t["normalizer"].update(lowercase=False), "do_lower_case is True"),
    ],
)
def test_a_tokenizer_that_does_not_fit(tiny: Path, edit: Callable[[dict], None], part: str) -> None:
    edit_json(tiny / "tokenizer_config.json", do_lower_case=True, tokenizer_class="DistilBertTokenizer")
    edit_tokenizer(tiny, edit)
    with pytest.raises(CheckpointError, match=part):
        load_checkpoint(str(tiny))


def test_special_tokens(tiny: Path) -> None:
    edit_json(tiny / "tokenizer_config.json", pad_token={"content": "[NONE]"})
    assert "has no '[NONE]' (pad_token)" in refusal(tiny)


def test_truncation_left_over_from_training_is_kept_in_the_bytes(tiny: Path) -> None:
    state = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    edit_tokenizer(tiny, lambda t: t.update(truncation=state))
    checkpoint = load_checkpoint(str(tiny))
    assert json.loads(checkpoint.tokenizer_json)["truncation"] == state
    assert checkpoint.max_length == 18


@pytest.mark.parametrize(("limit", "expected"), [(1e30, 20), (10, 10), (..., 20), (512, 20)])
def test_the_longest_input(tiny: Path, limit: object, expected: int) -> None:
    edit_json(tiny / "tokenizer_config.json", model_max_length=limit)
    assert load_checkpoint(str(tiny)).max_length == expected


@pytest.mark.parametrize("limit", [0, 2, -1, "512", True, None, float("nan"), float("-inf")])
def test_an_absurd_limit(tiny: Path, limit: object) -> None:
    edit_json(tiny / "tokenizer_config.json", model_max_length=limit)
    assert "tokenizer_config.json" in refusal(tiny)


def test_a_vocabulary_alone_becomes_a_tokenizer(tiny: Path) -> None:
    (tiny / "tokenizer.json").unlink()
    assert "no such file" in refusal(tiny)
    (tiny / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    checkpoint = load_checkpoint(str(tiny))
    assert "vocab.txt" in checkpoint.notes[0]
    assert {"vocab.txt"} < checkpoint.files.keys()
    from tokenizers import Tokenizer

    assert Tokenizer.from_str(checkpoint.tokenizer_json.decode()).encode("Good films").ids == [2, 5, 7, 8, 3]
    (tiny / "vocab.txt").write_text("good\nbad\n")
    assert "vocab.txt: has no '[CLS]'" in refusal(tiny)
