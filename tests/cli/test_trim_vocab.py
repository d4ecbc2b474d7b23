"""``edgebert trim-vocab``: what it prints, that ``convert`` takes the result, and one clear error for bad input."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import Result, run

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("optimum")

from safetensors.torch import load_file, save_file  # noqa: E402
from tokenizers import Tokenizer, models  # noqa: E402

from tests.compress import trim_models  # noqa: E402

Edgebert = Callable[..., Result]
DEFAULT = Path(__file__).parents[2] / "edgebert" / "assets" / "default"
TEXTS = ["a charming film , good", "not good , a film of letters", "charmingly unfunny"]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    folder = trim_models.save(tmp_path / "checkpoint")
    trim_models.write_corpus(tmp_path / "corpus.txt", *TEXTS)
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.full  # a conversion, which the page of the command runs as well
def test_convert_takes_what_it_writes(tmp_path: Path) -> None:
    """In processes of their own: what the libraries print on import must not be seen either."""
    (tmp_path / "texts.tsv").write_text("\n".join(["sentence", *TEXTS]) + "\n")
    result = run("trim-vocab", DEFAULT, "--texts", "texts.tsv", "--held-out", "texts.tsv", "-o", "small", cwd=tmp_path)
    assert result.code == 0
    assert result.messages == ""
    assert result.progress[:3] == ["loading the libraries", "reading the checkpoint", "counting tokens"]
    tokenizer = Tokenizer.from_file(str(DEFAULT / "tokenizer.json"))
    kept = Tokenizer.from_file(str(tmp_path / "small/tokenizer.json")).get_vocab()
    needed = set(trim_models.SPECIAL).union(*(tokenizer.encode(text).tokens for text in TEXTS))
    assert kept.keys() >= needed
    assert {len(token.removeprefix("##")) for token in kept.keys() - needed} == {1}
    assert f"vocabulary   {tokenizer.get_vocab_size():,} -> {len(kept):,} tokens (-89." in result.out
    assert "0.00% of the texts are tokenized differently" in result.out
    assert names(tmp_path) == {"texts.tsv", "small"}
    converted = run("convert", "small", "-o", "small.edgebert", "-t", "x86-cpu", "-q", cwd=tmp_path)
    assert converted.code == 0, converted
    answers = run("predict", "small.edgebert", "a charming film", "not good", cwd=tmp_path)
    assert [line.split("\t")[0] for line in answers.out.splitlines()] == ["POSITIVE", "NEGATIVE"]


def test_json_is_what_the_result_holds(edgebert: Edgebert, tiny: Path) -> None:
    result = edgebert("trim-vocab", tiny, "--texts", "corpus.txt", "-o", "small", "--json", "--quiet")
    assert result.code == 0
    assert result.err == ""
    report = json.loads(result.out)
    assert report == json.loads(Path("small/trim.json").read_text())
    assert report["command"][:2] == ["edgebert", "trim-vocab"]
    assert report["vocabulary"][1] < report["vocabulary"][0]


def test_tokens_to_keep(edgebert: Edgebert, tiny: Path) -> None:
    Path("keep.txt").write_text("films\n##éß\n", encoding="utf-8")
    options = ["--keep", "unfunny", "--keep", "keep.txt", "--min-count", "2", "--held-out", "corpus.txt"]
    result = edgebert("trim-vocab", tiny, "--texts", "corpus.txt", "-o", "small", *options)
    assert result.code == 0
    assert "3 asked for" in result.out
    kept = Tokenizer.from_file("small/tokenizer.json").get_vocab()
    assert {"unfunny", "films", "##éß", "good", "film"} <= kept.keys()
    assert "charming" in kept  # of charming and charmingly
    assert "##fun" not in kept


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (
            ["--keep", "nope"],
            "Error: 'nope' is not in the checkpoint's vocabulary, and there is no such file.",
            "##ing",
        ),
        (["--keep", "corpus.txt"], "Error: corpus.txt: 'a charming film , good' is not in the", "one a line"),
        (["--size", "50"], "Error: 50 tokens cannot hold the ", "--size of at least "),
        (["--text-column", "x"], "Error: corpus.txt: no column can be named here", "Leave the column options out"),
        (["--texts", "none.txt"], "Error: none.txt: cannot be read", "Check the path"),
        (["--texts", "empty.txt"], "Error: empty.txt: the file is empty.", "Correct the file"),
        (["--texts", "half.jsonl"], "line 1: 'text' holds half of a surrogate pair", "Correct the line"),
        (["--held-out", "empty.txt"], "Error: empty.txt: the file is empty.", "Correct the file"),
        (["-o", "nowhere/small"], "Error: Cannot write '", "Create the folder first"),
        (["-o", "corpus.txt"], "corpus.txt' exists already.", "Choose another"),
    ],
)
def test_bad_options(
    edgebert: Edgebert, tiny: Path, tmp_path: Path, options: list[str], message: str, hint: str
) -> None:
    Path("empty.txt").touch()
    Path("half.jsonl").write_text('{"text": "\\udc00"}\n')
    before = names(tmp_path)
    result = edgebert("trim-vocab", tiny, "--texts", "corpus.txt", "-o", "small", "-q", *options)
    error, _, hinted = result.refusal().partition("\nHint: ")
    assert message in error
    assert hint in hinted
    assert names(tmp_path) == before


def truncated(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def not_wordpiece(folder: Path) -> None:
    Tokenizer(models.BPE(vocab={"a": 0}, merges=[])).save(str(folder / "tokenizer.json"))


def unigram(folder: Path) -> None:
    Tokenizer(models.Unigram([("a", 0.0)], unk_id=0)).save(str(folder / "tokenizer.json"))


def fewer_rows(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    table = "distilbert.embeddings.word_embeddings.weight"
    tensors[table] = tensors[table][:-1].contiguous()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def smaller_vocabulary(folder: Path) -> None:
    fewer_rows(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": config["vocab_size"] - 1}))


def no_directory(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncated, "model.safetensors: truncated: expected "),
        (not_wordpiece, "tokenizer.json: is a BPE tokenizer; DistilBERT's is WordPiece."),
        (unigram, "tokenizer.json: is a Unigram tokenizer; DistilBERT's is WordPiece."),
        (fewer_rows, "the tensor distilbert.embeddings.word_embeddings.weight is "),
        (smaller_vocabulary, "tokenizer.json: has ids up to "),
        (no_directory, "there is no such directory."),
    ],
)
def test_bad_checkpoints(
    edgebert: Edgebert, tiny: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(tiny)
    before = names(tmp_path)
    result = edgebert("trim-vocab", tiny, "--texts", "corpus.txt", "-o", "small", "-q")
    assert message in result.refusal()
    assert names(tmp_path) == before


def test_nothing_to_trim(edgebert: Edgebert, tiny: Path) -> None:
    Path("all.txt").write_text("\n".join(trim_models.vocabulary(cased=False)), encoding="utf-8")
    options = ["--texts", "corpus.txt", "--held-out", "corpus.txt", "-q", "--keep", "all.txt"]
    error = edgebert("trim-vocab", tiny, "-o", "small", *options).refusal()
    assert "Error: corpus.txt: nothing to trim: each of the " in error
    assert "--min-count" in error
    assert not Path("small").exists()


def test_a_corpus_of_held_out_texts_alone(edgebert: Edgebert, tiny: Path) -> None:
    import zlib

    text = next(f"good {number}" for number in range(1000) if zlib.crc32(f"good {number}".encode()) % 20 == 0)
    Path("one.txt").write_text(text + "\n")
    error = edgebert("trim-vocab", tiny, "--texts", "one.txt", "-o", "small", "-q").refusal()
    assert "one.txt: too few texts" in error
    assert "--held-out" in error


def test_a_full_disk_leaves_nothing(edgebert: Edgebert, tiny: Path, tmp_path: Path) -> None:
    before = names(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        result = edgebert("trim-vocab", tiny, "--texts", "corpus.txt", "-o", "small", "-q")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert result.refusal().startswith(f"Error: Cannot write '{tmp_path}/small': ")
    assert names(tmp_path) == before


def test_a_corpus_that_changes(edgebert: Edgebert, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgebert.compress import trim

    def count_and_write(*args: object):
        counted = count(*args)
        Path("corpus.txt").write_text("another\n")
        return counted

    count = trim.count_tokens
    monkeypatch.setattr(trim, "count_tokens", count_and_write)
    error = edgebert("trim-vocab", tiny, "--texts", "corpus.txt", "-o", "small", "-q").refusal()
    assert "corpus.txt: another text when it was read for the second time" in error


def test_names_that_are_not_utf_8(edgebert: Edgebert, tiny: Path) -> None:
    corpus = Path(os.fsdecode(b"\xff.txt"))
    shutil.copy("corpus.txt", corpus)
    (tiny / "README.md").write_text("# Mine\n")
    result = edgebert("trim-vocab", tiny, "--texts", corpus, "--held-out", corpus, "-o", "small", "-q")
    assert (result.code, result.err) == (0, "")
    assert json.loads(Path("small/trim.json").read_text())["corpus"][0]["path"] == str(corpus)
    assert "of \\udcff.txt" in Path("small/README.md").read_text(encoding="utf-8")


def test_a_corpus_and_an_output_are_required(edgebert: Edgebert, tiny: Path) -> None:
    assert "Missing option '--texts'" in edgebert("trim-vocab", tiny, "-o", "small").usage_error()
    assert "Missing option '-o'" in edgebert("trim-vocab", tiny, "--texts", "corpus.txt").usage_error()
