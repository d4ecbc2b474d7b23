"""A trimmed checkpoint: its logits, its files, and that every loader takes it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("optimum")

from safetensors.torch import load_file, save_file  # noqa: E402

from edgebert.compress.trim import trim_vocabulary  # noqa: E402
from edgebert.convert.checkpoint import load_checkpoint  # noqa: E402
from edgebert.convert.evaluation.texts import EvalColumns  # noqa: E402
from edgebert.errors import CheckpointError, DataError, OutputError  # noqa: E402
from tests.compress import trim_models  # noqa: E402

ARCHITECTURES = [
    "DistilBertForSequenceClassification",
    "DistilBertForTokenClassification",
    "DistilBertForQuestionAnswering",
    "DistilBertForMultipleChoice",
    "DistilBertModel",
]
# Of the tokens of the corpus alone, and of single characters.
SURVIVING = ["good film", "a charming film, unfunny", "x9 good", "film good [MASK]", "жи", "国 é"]
TABLE = "distilbert.embeddings.word_embeddings.weight"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return trim_models.write_corpus(tmp_path / "corpus.txt", "good film", "charming, unfunny 9", "жи")


def trim(checkpoint: Path, corpus: Path, **options: object):
    out = checkpoint.parent / "trimmed"
    return out, trim_vocabulary(str(checkpoint), out, texts=[corpus], held_out=corpus, **options)


def outputs(folder: Path, architecture: str, text: str, *, dtype: torch.dtype = torch.float32) -> tuple:
    """Tokens and the model's outputs, through transformers alone."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = getattr(transformers, architecture).from_pretrained(folder, dtype=dtype).eval()
    encoding = tokenizer(text, return_tensors="pt", truncation=False, padding=False)
    tokens = tokenizer.convert_ids_to_tokens(encoding["input_ids"][0].tolist())
    encoding.pop("token_type_ids", None)
    if architecture == "DistilBertForMultipleChoice":
        encoding = {name: value[None] for name, value in encoding.items()}
    with torch.inference_mode():
        return tokens, model(**encoding).to_tuple()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_outputs_are_the_same_to_the_bit(tmp_path: Path, corpus: Path, architecture: str) -> None:
    checkpoint = trim_models.save(tmp_path / "checkpoint", architecture, cased=True)
    out, report = trim(checkpoint, corpus)
    assert report.vocabulary[1] < report.vocabulary[0]
    for text in SURVIVING:
        tokens, before = outputs(checkpoint, architecture, text)
        tokens_now, after = outputs(out, architecture, text)
        assert tokens == tokens_now
        assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert load_checkpoint(str(out)).architecture == architecture


@pytest.mark.parametrize("stored_twice", [False, True])
def test_a_masked_language_model(tmp_path: Path, corpus: Path, stored_twice: bool) -> None:
    """What the projection multiplies is the same to the bit; in which order a BLAS adds depends on the table's size."""
    checkpoint = trim_models.save(tmp_path / "checkpoint", "DistilBertForMaskedLM")
    if stored_twice:  # older releases stored the projection beside the table that it is tied to
        tensors = load_file(checkpoint / "model.safetensors")
        tensors["vocab_projector.weight"] = tensors[TABLE].clone()
        save_file(tensors, checkpoint / "model.safetensors", metadata={"format": "pt"})
    out, _ = trim(checkpoint, corpus)
    tokenizers = [transformers.AutoTokenizer.from_pretrained(path) for path in (checkpoint, out)]
    models = [transformers.DistilBertForMaskedLM.from_pretrained(path).eval() for path in (checkpoint, out)]
    old, new = (tokenizer.get_vocab() for tokenizer in tokenizers)
    rows = [old[token] for token in sorted(new, key=new.__getitem__)]
    for name in ("weight", "bias"):
        projections = [getattr(model.vocab_projector, name) for model in models]
        assert torch.equal(projections[0][rows], projections[1])
    projected: list[torch.Tensor] = []
    for model in models:
        model.vocab_projector.register_forward_pre_hook(lambda module, inputs: projected.append(inputs[0]))
    for text in SURVIVING:
        ids = [tokenizer(text, return_tensors="pt", truncation=False, padding=False) for tokenizer in tokenizers]
        with torch.inference_mode():
            before, after = (model(encoding["input_ids"]).logits for model, encoding in zip(models, ids, strict=True))
        assert torch.equal(*projected[-2:])
        torch.testing.assert_close(before[:, :, rows], after, rtol=0, atol=1e-6 * float(before.abs().max()))
    assert load_checkpoint(str(out)).architecture == "DistilBertForMaskedLM"


@pytest.mark.parametrize("half", [False, True])
def test_weights_keep_their_values_and_their_type(tmp_path: Path, corpus: Path, half: bool) -> None:
    checkpoint = trim_models.save(tmp_path / "checkpoint", half=half)
    out, report = trim(checkpoint, corpus)
    before, after = load_file(checkpoint / "model.safetensors"), load_file(out / "model.safetensors")
    assert before.keys() == after.keys()
    ids = Tokenizer.from_file(str(checkpoint / "tokenizer.json")).get_vocab()
    now = Tokenizer.from_file(str(out / "tokenizer.json")).get_vocab()
    assert sorted(now.values()) == list(range(report.vocabulary[1])) == list(range(after[TABLE].shape[0]))
    rows = [ids[token] for token in sorted(now, key=now.__getitem__)]
    assert rows == sorted(rows)
    for name, tensor in before.items():
        expected = tensor[rows] if name == TABLE else tensor
        assert after[name].dtype == expected.dtype
        assert torch.equal(after[name], expected)
    removed = (report.vocabulary[0] - report.vocabulary[1]) * 16
    assert report.parameters[0] - report.parameters[1] == removed
    assert report.stored_bytes[0] == (checkpoint / "model.safetensors").stat().st_size


def test_ids_are_the_new_ones_everywhere(tmp_path: Path, corpus: Path) -> None:
    checkpoint = trim_models.save(tmp_path / "checkpoint", extra_rows=5)
    ids = Tokenizer.from_file(str(checkpoint / "tokenizer.json")).get_vocab()
    lines = sorted(ids, key=ids.__getitem__)
    (checkpoint / "vocab.txt").write_text("".join(f"{token}\n" for token in lines), encoding="utf-8")
    edit(checkpoint / "config.json", sep_token_id=ids["[SEP]"], eos_token_id=50256, bos_token_id=None)
    (checkpoint / "generation_config.json").write_text(json.dumps({"pad_token_id": 0, "cls_token_id": ids["[CLS]"]}))
    decoder = {str(ids[token]): {"content": token, "special": True} for token in trim_models.SPECIAL}
    edit(checkpoint / "tokenizer_config.json", added_tokens_decoder=decoder)
    (checkpoint / "added_tokens.json").write_text(json.dumps({"[MASK]": ids["[MASK]"]}))
    out, report = trim(checkpoint, corpus)
    now = Tokenizer.from_file(str(out / "tokenizer.json")).get_vocab()
    assert report.rows_without_token == 5
    config = json.loads((out / "config.json").read_text())
    assert (config["vocab_size"], config["pad_token_id"], config["sep_token_id"]) == (len(now), 0, now["[SEP]"])
    assert config["eos_token_id"] is config["bos_token_id"] is None
    assert json.loads((out / "generation_config.json").read_text()) == {"pad_token_id": 0, "cls_token_id": now["[CLS]"]}
    stored = json.loads((out / "tokenizer_config.json").read_text())["added_tokens_decoder"]
    assert {int(index): token["content"] for index, token in stored.items()} == {
        now[token]: token for token in trim_models.SPECIAL
    }
    assert json.loads((out / "added_tokens.json").read_text()) == {"[MASK]": now["[MASK]"]}
    assert (out / "vocab.txt").read_text(encoding="utf-8").splitlines() == sorted(now, key=now.__getitem__)
    assert now["[SEP]"] < ids["[SEP]"]


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_an_added_token_stays_with_its_row(tmp_path: Path, corpus: Path) -> None:
    checkpoint = trim_models.save(tmp_path / "checkpoint", extra_rows=1)
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    tokenizer.add_tokens(["new word"])
    tokenizer.save(str(checkpoint / "tokenizer.json"))
    out, report = trim(checkpoint, corpus)
    assert report.kept["special"] == 6
    architecture = "DistilBertForSequenceClassification"
    tokens, before = outputs(checkpoint, architecture, "a new word")
    tokens_now, after = outputs(out, architecture, "a new word")
    assert tokens == tokens_now
    assert "new word" in tokens
    assert torch.equal(before[0], after[0])


def test_truncation_and_padding_of_the_training_are_gone(tmp_path: Path, corpus: Path) -> None:
    out, _ = trim(trim_models.save(tmp_path / "checkpoint"), corpus)
    tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    assert tokenizer.truncation is tokenizer.padding is None


def test_a_vocabulary_alone(tmp_path: Path, corpus: Path) -> None:
    checkpoint = trim_models.save(tmp_path / "checkpoint")
    (checkpoint / "tokenizer.json").unlink()
    (checkpoint / "tokenizer_config.json").unlink()
    tokens = trim_models.vocabulary(cased=False)
    (checkpoint / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    out, report = trim(checkpoint, corpus)
    assert len((out / "vocab.txt").read_text(encoding="utf-8").splitlines()) == report.vocabulary[1]
    assert load_checkpoint(str(out)).config["vocab_size"] == report.vocabulary[1]
    encode = transformers.AutoTokenizer.from_pretrained(out).tokenize
    assert encode("charming films") == ["charming", "film", "##s"]


def test_shards(tmp_path: Path, corpus: Path) -> None:
    checkpoint = trim_models.save(tmp_path / "checkpoint", max_shard_size="8KB")
    out, _ = trim(checkpoint, corpus)
    index = json.loads((out / "model.safetensors.index.json").read_text())
    shards = sorted(out.glob("model-*.safetensors"))
    assert len(shards) == len(set(index["weight_map"].values())) > 1
    assert index["metadata"]["total_size"] == sum(
        tensor.nbytes for shard in shards for tensor in load_file(shard).values()
    )
    architecture = "DistilBertForSequenceClassification"
    assert torch.equal(
        outputs(checkpoint, architecture, "good film")[1][0], outputs(out, architecture, "good film")[1][0]
    )


def test_a_pickle_becomes_safetensors(tmp_path: Path, corpus: Path) -> None:
    checkpoint = trim_models.save(tmp_path / "checkpoint")
    architecture = "DistilBertForSequenceClassification"
    before = outputs(checkpoint, architecture, "good film")[1][0]
    torch.save(load_file(checkpoint / "model.safetensors"), checkpoint / "pytorch_model.bin")
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="pickle"):
        trim(checkpoint, corpus)
    out, report = trim(checkpoint, corpus, allow_pickle=True)
    assert not (out / "pytorch_model.bin").exists()
    assert report.left_out == ()
    assert torch.equal(before, outputs(out, architecture, "good film")[1][0])


def test_everything_else_is_copied_but_other_forms_of_the_model(tmp_path: Path, corpus: Path) -> None:
    checkpoint = trim_models.save(tmp_path / "checkpoint")
    (checkpoint / "LICENSE").write_text("free")
    (checkpoint / "notes").mkdir()
    (checkpoint / "notes" / "a.bin").write_bytes(b"\0\1")
    (checkpoint / "onnx").mkdir()
    for name in ("onnx/model.onnx", "pytorch_model.bin", "tf_model.h5", "optimizer.pt"):
        (checkpoint / name).write_bytes(b"old")
    out, report = trim(checkpoint, corpus)
    assert (out / "LICENSE").read_text() == "free"
    assert (out / "notes" / "a.bin").read_bytes() == b"\0\1"
    assert report.left_out == ("onnx/model.onnx", "optimizer.pt", "pytorch_model.bin", "tf_model.h5")
    assert not any((out / name).exists() for name in report.left_out)


def test_the_output_may_lie_in_the_checkpoint(tmp_path: Path, corpus: Path) -> None:
    checkpoint = trim_models.save(tmp_path / "checkpoint")
    trim_vocabulary(str(checkpoint), checkpoint / "small", texts=[corpus], held_out=corpus)
    assert {path.name for path in (checkpoint / "small").iterdir()} == {
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "trim.json",
    }  # fmt: skip


def test_a_directory_of_sentence_transformers(tmp_path: Path, corpus: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer import modules

    encoder = trim_models.save(tmp_path / "encoder", "DistilBertModel")
    torch.manual_seed(1)
    steps = [modules.Transformer(str(encoder)), modules.Pooling(16), modules.Dense(16, 5)]
    library.SentenceTransformer(modules=steps, device="cpu").save(str(tmp_path / "sentences"))
    out, report = trim(tmp_path / "sentences", corpus)
    before = library.SentenceTransformer(str(tmp_path / "sentences"), device="cpu").encode(SURVIVING)
    after = library.SentenceTransformer(str(out), device="cpu").encode(SURVIVING)
    assert (before == after).all()
    assert load_checkpoint(str(out)).task.name == "sentence-similarity"
    assert "## Trimmed vocabulary" in (out / "README.md").read_text(encoding="utf-8")
    assert report.left_out == ()


def test_what_the_report_says(tmp_path: Path) -> None:
    checkpoint = trim_models.save(tmp_path / "checkpoint")
    (checkpoint / "README.md").write_text("# Mine\n")
    corpus = trim_models.write_corpus(tmp_path / "corpus.txt", *["good good film un"] * 3)
    held_out = trim_models.write_corpus(tmp_path / "held.txt", "good film", "charming film, good", "un", "☃")
    report = trim_vocabulary(
        str(checkpoint), tmp_path / "out", texts=[corpus], held_out=held_out, min_count=4, keep=["##ly"], command=["x"]
    )
    characters = len({*trim_models.LETTERS, *trim_models.string.punctuation, "😀"} | {f"##{letter}" for letter in "é"})
    assert report.kept["special"] == 5
    assert report.kept["asked"] == 1
    assert report.kept["corpus"] == 1  # good; film and un occur three times
    assert report.kept["guard"] == 0
    assert report.kept["character"] > characters
    assert sum(report.kept.values()) == report.vocabulary[1]
    changes = report.changes
    assert (changes.texts, changes.changed_texts) == (4, 3)
    assert (changes.tokens, changes.removed_tokens) == (8, 4)  # good film | charming film , good | un | [UNK]
    assert changes.tokens_after == 8 + 3 + 3 + 7 + 1  # two films, charming and un, by letters
    assert (changes.unknown, changes.unknown_after, changes.newly_unknown_texts) == (1, 1, 0)
    assert report.counted_texts == 3
    assert report.corpus[0].texts == 3
    assert report.held_out is not None
    stored = json.loads((tmp_path / "out" / "trim.json").read_text())
    assert stored == json.loads(json.dumps(report.to_dict()))
    assert stored["command"] == ["x"]
    assert (tmp_path / "out" / "README.md").read_text().startswith("# Mine\n\n## Trimmed vocabulary\n")


def test_a_part_of_the_corpus_is_held_out_and_not_counted(tmp_path: Path) -> None:
    checkpoint = trim_models.save(tmp_path / "checkpoint")
    texts = [f"good {index}" for index in range(400)]
    corpus = trim_models.write_corpus(tmp_path / "corpus.txt", *texts, *texts)
    report = trim_vocabulary(str(checkpoint), tmp_path / "out", texts=[corpus])
    assert report.held_out is None
    assert report.corpus[0].texts == 800
    assert report.counted_texts + report.changes.texts == 800
    assert 0 < report.changes.texts < 100
    assert report.changes.texts % 2 == 0  # a text that stands there twice is held out twice


def test_at_most_so_many_tokens(tmp_path: Path) -> None:
    checkpoint = trim_models.save(tmp_path / "checkpoint")
    corpus = trim_models.write_corpus(tmp_path / "corpus.txt", *["films good"] * 5, *["charming"] * 3, *["film"] * 9)
    everything = trim_vocabulary(str(checkpoint), tmp_path / "all", texts=[corpus], held_out=corpus)
    assert everything.kept["corpus"] == 4
    size = everything.vocabulary[1] - 1
    report = trim_vocabulary(str(checkpoint), tmp_path / "out", texts=[corpus], held_out=corpus, size=size)
    assert report.vocabulary[1] == report.size == size
    kept = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json")).get_vocab()
    # films is more frequent than charming, and would cost less: film ##s.
    assert {"good", "film", "charming"} <= kept.keys()
    assert "films" not in kept
    with pytest.raises(DataError, match=r"20 tokens cannot hold the .* that any text may need"):
        trim_vocabulary(str(checkpoint), tmp_path / "none", texts=[corpus], held_out=corpus, size=20)


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("c.tsv", "sentence\tlabel\ngood\t1\nfilms\t0\n", None),
        ("c.csv", 'label,text\r\n1,"good"\r\n0,"films"\r\n', None),
        ("c.jsonl", '{"text": "good"}\n{"text": "films"}\n', None),
        ("c.tsv", "mine\tlabel\ngood\t1\nfilms\t0\n", EvalColumns("mine")),
        ("c.tsv", "premise\thypothesis\ngood\tfilms\n", None),
        ("c", "good\n\nfilms", None),
    ],
)
def test_forms_of_the_corpus(tmp_path: Path, name: str, content: str, columns: EvalColumns | None) -> None:
    checkpoint = trim_models.save(tmp_path / "checkpoint")
    (tmp_path / name).write_bytes(content.encode())
    report = trim_vocabulary(
        str(checkpoint), tmp_path / "out", texts=[tmp_path / name], held_out=tmp_path / name, columns=columns
    )
    assert report.counted_texts == 2
    assert report.kept["corpus"] == 2


def test_odd_texts_count_as_others(tmp_path: Path) -> None:
    checkpoint = trim_models.save(tmp_path / "checkpoint")
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(
        "go\0od\ufeff\ngood " + "x" * 1_000_000 + "\n" + "film " * 200_000 + "\n\ufffd\n", encoding="utf-8"
    )
    report = trim_vocabulary(str(checkpoint), tmp_path / "out", texts=[corpus], held_out=corpus)
    assert report.counted_texts == 4
    assert report.kept["corpus"] == 2
    assert report.changes.changed_texts == 0


def test_an_existing_output_is_left_alone(tmp_path: Path, corpus: Path) -> None:
    checkpoint = trim_models.save(tmp_path / "checkpoint")
    (tmp_path / "trimmed").mkdir()
    with pytest.raises(OutputError, match="exists already"):
        trim(checkpoint, corpus)
    assert list((tmp_path / "trimmed").iterdir()) == []


def test_a_vocabulary_that_disagrees(tmp_path: Path, corpus: Path) -> None:
    checkpoint = trim_models.save(tmp_path / "checkpoint")
    (checkpoint / "vocab.txt").write_text("[PAD]\nother\n")
    with pytest.raises(CheckpointError, match=r"line 2 is 'other', whose id in tokenizer.json is None, not 1"):
        trim(checkpoint, corpus)
    assert not (tmp_path / "trimmed").exists()


def test_a_vocabulary_without_a_token_for_the_unknown(tmp_path: Path, corpus: Path) -> None:
    checkpoint = trim_models.save(tmp_path / "checkpoint")
    value = json.loads((checkpoint / "tokenizer.json").read_text())
    value["model"]["unk_token"] = "[NONE]"
    (checkpoint / "tokenizer.json").write_text(json.dumps(value))
    with pytest.raises(CheckpointError, match=r"tokenizer.json: has no '\[NONE\]', which stands for unknown words"):
        trim(checkpoint, corpus)


def test_a_held_out_file_is_looked_at_before_the_corpus_is_counted(tmp_path: Path, corpus: Path) -> None:
    checkpoint = trim_models.save(tmp_path / "checkpoint")
    told: list[str] = []
    with pytest.raises(DataError, match=r"none.txt: cannot be read"):
        trim_vocabulary(
            str(checkpoint), tmp_path / "out", texts=[corpus], held_out=tmp_path / "none.txt", progress=told.append
        )
    assert "counting tokens" not in told


def test_a_result_can_be_trimmed_again(tmp_path: Path, corpus: Path) -> None:
    checkpoint = trim_models.save(tmp_path / "checkpoint")
    first, report = trim(checkpoint, corpus)
    shutil.move(first, tmp_path / "first")
    smaller = trim_models.write_corpus(tmp_path / "smaller.txt", "good")
    _, again = trim(tmp_path / "first", smaller)
    assert again.vocabulary[0] == report.vocabulary[1] > again.vocabulary[1]
