import json

import pytest

pytest.importorskip("torch", reason="needs the convert extra")
pytest.importorskip("transformers", reason="needs the convert extra")

from edgebert.compress.distill import Epoch, Recipe
from edgebert.compress.model_card import Facts, model_card
from edgebert.compress.train_default import main, run
from edgebert.errors import CheckpointError, DataError, OutputError


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "sst2"
    folder.mkdir()
    sentences = [f"this is sentence number {n} of the corpus .\t{n % 2}" for n in range(700)]
    for name in ("train.tsv", "dev.tsv"):
        (folder / name).write_text("\n".join(["sentence\tlabel", *sentences]) + "\n", encoding="utf-8")
    return folder


def test_missing_data_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"train\.tsv cannot be read"):
        run(tmp_path, tmp_path / "teacher", tmp_path / "out", seed=0, epochs=1, threads=1)
    assert not (tmp_path / "out").exists()


def test_a_missing_teacher_is_refused(tmp_path, data):
    with pytest.raises(CheckpointError, match=r"no model\.safetensors"):
        run(data, tmp_path / "teacher", tmp_path / "out", seed=0, epochs=1, threads=1)
    assert not (tmp_path / "out").exists()


def test_a_broken_teacher_is_refused(tmp_path, data):
    teacher = tmp_path / "teacher"
    teacher.mkdir()
    (teacher / "model.safetensors").write_bytes(b"no tensors")
    (teacher / "tokenizer.json").write_text(json.dumps({"model": {"type": "WordPiece"}}))
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        run(data, teacher, tmp_path / "out", seed=0, epochs=1, threads=1)


def test_a_folder_that_is_no_checkpoint_is_not_replaced(tmp_path, data):
    out = tmp_path / "home"
    out.mkdir()
    (out / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match="holds no checkpoint"):
        run(data, tmp_path / "teacher", out, seed=0, epochs=1, threads=1)
    assert (out / "letter.txt").read_text() == "dear"


def test_an_error_is_one_message_and_a_status(tmp_path, capsys):
    status = main(["--data", str(tmp_path), "--teacher", str(tmp_path), "--out", str(tmp_path / "out")])
    assert status == 1
    assert "cannot be read" in " ".join(capsys.readouterr().err.split())


def test_the_card_states_what_was_measured():
    config = dict.fromkeys(
        ["n_layers", "dim", "n_heads", "hidden_dim", "max_position_embeddings", "vocab_size", "dropout"], 4
    )
    card = model_card(
        Facts(
            config=config,
            parameters=1234567,
            min_word_count=5,
            teacher="big-one",
            training_texts=60000,
            held_out=600,
            recipe=Recipe(epochs=2),
            curve=[Epoch(1, 0.5, 0.75, 10.0), Epoch(2, 0.25, 0.8125, 20.0)],
            seed=7,
            threads=1,
            bfloat16=True,
            seconds=90.0,
            dev_rows=872,
            dev_accuracy=740 / 872,
        )
    )
    assert card.startswith("---\nlanguage: en\n")
    assert "84.86 % accuracy on the 872 sentences" in card
    assert "740 right" in card
    assert "1,234,567" in card
    assert "epoch  2  loss 0.2500  held-out accuracy 0.8125" in card
    assert "--seed 7 --epochs 2 --threads 1" in card
    assert "$" not in card
