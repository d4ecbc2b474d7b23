import json
import random
import re
import string
import tempfile

import pytest

pytest.importorskip("torch", reason="needs the convert extra")
pytest.importorskip("transformers", reason="needs the convert extra")

import torch
import transformers

from edgebert.compress import train_default
from edgebert.compress.distill import Epoch, Recipe
from edgebert.compress.model_card import Facts, model_card
from edgebert.compress.train_default import main, run
from edgebert.compress.vocabulary import SPECIAL_TOKENS, build_tokenizer
from edgebert.errors import CheckpointError, DataError, OutputError


@pytest.fixture(autouse=True)
def no_shared_cache(tmp_path, monkeypatch):
    (tmp_path / "cache").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "cache"))


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield 1
    torch.set_num_threads(before)


@pytest.fixture
def data(tmp_path):
    """2,000 sentences of invented words, each often enough to be kept whole."""
    rng = random.Random(0)
    words = ["".join(rng.choices(string.ascii_lowercase, k=6)) for _ in range(300)]
    lines = [f"{' '.join(rng.choices(words, k=8))} .\t{rng.randint(0, 1)}" for _ in range(2100)]
    folder = tmp_path / "sst2"
    folder.mkdir()
    (folder / "train.tsv").write_text("\n".join(["sentence\tlabel", *lines[:2000]]) + "\n", encoding="utf-8")
    (folder / "dev.tsv").write_text("\n".join(["sentence\tlabel", *lines[2000:]]) + "\n", encoding="utf-8")
    return folder


def save_teacher(folder, *, width=192, labels=2):
    letters = string.ascii_lowercase
    vocabulary = [*SPECIAL_TOKENS, *letters, *(f"##{letter}" for letter in letters), *string.punctuation]
    config = transformers.DistilBertConfig(
        vocab_size=len(vocabulary), dim=width, n_layers=1, n_heads=2, hidden_dim=32, num_labels=labels
    )
    transformers.DistilBertForSequenceClassification(config).save_pretrained(folder)
    build_tokenizer(vocabulary).save(str(folder / "tokenizer.json"))
    return folder


def test_a_run_leaves_a_measured_checkpoint(tmp_path, data, threads):
    teacher, out = save_teacher(tmp_path / "teacher"), tmp_path / "results" / "default"
    for _ in range(2):  # the second time it replaces the first, with the teacher's logits from the cache
        measured = run(data, teacher, out, seed=0, epochs=1, threads=threads)
        assert {path.name for path in out.parent.iterdir()} == {"default"}
    assert len(list((tmp_path / "cache").iterdir())) == 1
    model = transformers.AutoModelForSequenceClassification.from_pretrained(out)
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    assert model.dtype == torch.float32
    assert model.config.vocab_size == len(tokenizer) == model.get_input_embeddings().weight.shape[0]
    rows = [line.split("\t") for line in (data / "dev.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    with torch.inference_mode():
        logits = model(**tokenizer([text for text, _ in rows], padding=True, return_tensors="pt")).logits
    right = (logits.argmax(dim=-1) == torch.tensor([int(label) for _, label in rows])).sum().item()
    assert right / len(rows) == pytest.approx(measured)
    assert int(re.search(r"\((\d+)\s+right\)", (out / "README.md").read_text(encoding="utf-8"))[1]) == right


def test_an_interrupted_run_leaves_nothing(tmp_path, data, threads, monkeypatch):
    def interrupt(facts):
        raise KeyboardInterrupt

    monkeypatch.setattr(train_default, "model_card", interrupt)
    teacher, out = save_teacher(tmp_path / "teacher"), tmp_path / "results" / "default"
    status = main(
        ["--data", str(data), "--teacher", str(teacher), "--out", str(out), "--epochs", "1", "--threads", str(threads)]
    )
    assert status == 130
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize(("options", "reason"), [({"labels": 3}, "3 labels"), ({"width": 64}, "64 wide")])
def test_a_teacher_that_does_not_fit_is_refused(tmp_path, data, options, reason):
    with pytest.raises(CheckpointError, match=reason):
        run(data, save_teacher(tmp_path / "teacher", **options), tmp_path / "out", seed=0, epochs=1, threads=1)


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
            joined_texts=1500,
            longest=300,
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
