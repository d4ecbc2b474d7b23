"""The script that makes the embedded checkpoint, with a small teacher and invented words."""

from __future__ import annotations

import importlib
import json
import random
import re
import string
import sys
from pathlib import Path
from types import ModuleType

import pytest

for name in ("torch", "transformers", "accelerate", "optimum", "onnxruntime", "rich"):
    pytest.importorskip(name, reason="needs the convert and compress extras")

import torch  # noqa: E402
import transformers  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from tokenizers.models import WordPiece  # noqa: E402
from tokenizers.normalizers import BertNormalizer  # noqa: E402
from tokenizers.pre_tokenizers import BertPreTokenizer  # noqa: E402
from tokenizers.processors import TemplateProcessing  # noqa: E402

from edgebert.errors import CheckpointError, DataError, OutputError  # noqa: E402

ROOT = Path(__file__).parents[2]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    module = importlib.import_module("make_default")
    monkeypatch.setitem(sys.modules, "make_default", module)
    return module


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """300 sentences of 40 invented words, of which those with a "good" are positive."""
    chance = random.Random(0)
    words = ["".join(chance.choices(string.ascii_lowercase, k=6)) for _ in range(40)]
    lines = []
    for number in range(360):
        right = number % 2
        lines.append(f"{' '.join(chance.choices(words, k=8))} {'good' if right else 'bad'} .\t{right}")
    folder = tmp_path / "sst2"
    folder.mkdir()
    (folder / "train.tsv").write_text("\n".join(["sentence\tlabel", *lines[:300]]) + "\n", encoding="utf-8")
    (folder / "dev.tsv").write_text("\n".join(["sentence\tlabel", *lines[300:]]) + "\n", encoding="utf-8")
    return folder


def save_teacher(folder: Path) -> Path:
    """Cased, as the real one."""
    letters = string.ascii_letters
    vocabulary = [
        *SPECIAL,
        *letters,
        *(f"##{letter}" for letter in letters),
        *string.punctuation,
        "good",
        "Good",
        "bad",
    ]
    torch.manual_seed(0)
    config = transformers.DistilBertConfig(
        vocab_size=len(vocabulary),
        dim=32,
        n_layers=2,
        n_heads=2,
        hidden_dim=64,
        initializer_range=0.3,
        max_position_embeddings=512,
        id2label={0: "NEGATIVE", 1: "POSITIVE"},
        label2id={"NEGATIVE": 0, "POSITIVE": 1},
        problem_type="single_label_classification",
    )
    transformers.DistilBertForSequenceClassification(config).save_pretrained(folder)
    tokenizer = Tokenizer(WordPiece({token: index for index, token in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "DistilBertTokenizerFast", "do_lower_case": False, "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@pytest.mark.full  # half a minute: three commands of the project, each a process that loads the big libraries
def test_the_commands_make_a_measured_checkpoint(
    script: ModuleType, tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "HELD_OUT_SENTENCES", 20)
    monkeypatch.setattr(script, "JOINED_TEXTS", 5)
    monkeypatch.setattr(script, "VARIED_TEXTS", 50)
    monkeypatch.setattr(script, "STUDENT", {"--layers": "2", "--dim": "16", "--heads": "2"})
    monkeypatch.setitem(script.RECIPE, "--max-steps", "30")
    monkeypatch.setitem(script.RECIPE, "--precision", "fp32")
    teacher, out, work = save_teacher(tmp_path / "teacher"), tmp_path / "results/default", tmp_path / "work"
    out.parent.mkdir()
    arguments = ["--data", str(data), "--teacher", str(teacher), "--work", str(work), "--out", str(out)]
    assert script.main(arguments) == 0
    first = (out / "model.safetensors").read_bytes()
    assert script.main(arguments) == 0  # what the work folder has is taken; the older result is replaced
    assert (out / "model.safetensors").read_bytes() == first
    assert {path.name for path in out.parent.iterdir()} == {"default"}
    model = transformers.AutoModelForSequenceClassification.from_pretrained(out).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    assert model.dtype == torch.float32 and model.config.dim == 16
    assert tokenizer("A GOOD Film")["input_ids"] == tokenizer("a good film")["input_ids"]
    rows = [line.split("\t") for line in (data / "dev.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    with torch.inference_mode():
        logits = model(**tokenizer([text for text, _ in rows], padding=True, return_tensors="pt")).logits
    right = int((logits.argmax(dim=-1) == torch.tensor([int(label) for _, label in rows])).sum())
    card = (out / "README.md").read_text(encoding="utf-8")
    assert int(re.search(r"\((\d+)\s+right\)", card)[1]) == right  # type: ignore[index]
    assert "## Scores" in card and "| `onnx-int8` | 0.1 MB | " in card and str(tmp_path) not in card
    assert str(tmp_path) not in (out / "distill.json").read_text(encoding="utf-8")


def test_what_cannot_be_made_is_refused_before_the_work(
    script: ModuleType, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work, out, teacher = tmp_path / "work", tmp_path / "out", tmp_path / "teacher"
    with pytest.raises(DataError, match=r"train\.tsv cannot be read"):
        script.make(tmp_path, teacher, work, out)
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        script.make(data, teacher, work, out)
    (tmp_path / "home").mkdir()
    (tmp_path / "home/letter.txt").write_text("dear")
    with pytest.raises(OutputError, match="holds no checkpoint"):
        script.make(data, teacher, work, tmp_path / "home")
    assert (tmp_path / "home/letter.txt").read_text() == "dear"
    assert not work.exists() and not out.exists()
    given = ["--data", str(tmp_path), "--teacher", str(teacher), "--work", str(work), "--out", str(out)]
    assert script.main(given) == 1
    assert capsys.readouterr().err.startswith("Error: ")


def test_a_command_that_fails_gives_its_status(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(script.subprocess.CalledProcessError) as caught:
        script.edgebert(tmp_path, "inspect", "nothing-there")
    assert caught.value.returncode == 1
