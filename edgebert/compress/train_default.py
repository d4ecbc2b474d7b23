"""Trains the checkpoint that comes with EdgeBERT: a small DistilBERT for sentiment, distilled from a large one.

Run::

    python -m edgebert.compress.train_default --data SST2 --teacher CHECKPOINT --out edgebert/assets/default

``SST2`` is a folder with GLUE's ``train.tsv`` and ``dev.tsv``, ``CHECKPOINT`` a DistilBERT sequence classifier for it.
The teacher's logits are kept in the temporary folder, so that a second run starts at once. ``dev.tsv`` is measured
once a run, at the end, on the file that is shipped; the curve is of sentences held out of ``train.tsv``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from safetensors.torch import save
from tokenizers import Tokenizer
from transformers import (
    AutoModelForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedModel,
)

from edgebert.compress import sst2
from edgebert.compress.distill import (
    Epoch,
    Example,
    Recipe,
    accuracy,
    join_examples,
    predict,
    project_embeddings,
    train,
)
from edgebert.compress.model_card import Facts, model_card
from edgebert.compress.vocabulary import (
    SPECIAL_TOKENS,
    build_tokenizer,
    select_vocabulary,
    teacher_pieces,
    word_counts,
)
from edgebert.errors import CheckpointError, DataError, EdgebertError, OutputError

VOCABULARY_SIZE = 9000
MIN_WORD_COUNT = 5
DIM, LAYERS, HEADS = 192, 3, 4
EMBEDDING_STD = 0.05
HELD_OUT_SENTENCES = 1000
JOINED_TEXTS = 1500
JOINED_FROM = 10  # tokens: whole clauses, not single words
LABELS = ("NEGATIVE", "POSITIVE")
MAX_LENGTH = 512

console = Console()


@dataclass(frozen=True)
class Teacher:
    """A sequence classifier on disk, loaded, with its WordPiece vocabulary (entry to id) and padding id."""

    path: Path
    model: PreTrainedModel
    tokenizer: Tokenizer
    vocabulary: dict[str, int]
    pad_id: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script; returns the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m edgebert.compress.train_default", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", type=Path, required=True, help="folder with SST-2's train.tsv and dev.tsv")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of the teacher's checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="folder to write; an older checkpoint is replaced")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    try:
        run(options.data, options.teacher, options.out, options.seed, options.epochs, options.threads)
    except EdgebertError as error:
        Console(stderr=True).print(str(error), style="red", markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def run(data: Path, teacher_path: Path, out: Path, seed: int, epochs: int, threads: int) -> float:
    """Trains, writes and measures the checkpoint.

    Args:
        data: folder with SST-2's ``train.tsv`` and ``dev.tsv``.
        teacher_path: folder of the teacher's checkpoint.
        out: folder to write.
        seed: of weights, held-out sentences, batches and dropout.
        epochs: passes over the training phrases.
        threads: of torch.

    Returns:
        Accuracy on ``dev.tsv`` in [0, 1], of the stored float16 weights in float32 arithmetic.

    Raises:
        DataError: SST-2 is not there or not in GLUE's form.
        CheckpointError: the teacher is not usable.
        OutputError: ``out`` holds something else, or cannot be written.
    """
    _check_output(out)
    torch.set_num_threads(threads)
    bfloat16 = bool(_cpu_capabilities().get("avx512_bf16", False))
    phrases, dev = sst2.read(data / "train.tsv"), sst2.read(data / "dev.tsv")
    kept, held_out = sst2.hold_out(phrases, sentences=HELD_OUT_SENTENCES, seed=seed)
    teacher = _open_teacher(teacher_path)

    texts = sorted({phrase.text for phrase in phrases})
    logits = dict(zip(texts, _teacher_logits(teacher, texts, bfloat16), strict=True))

    vocabulary = select_vocabulary(
        word_counts(phrase.text for phrase in _both_spellings(kept)),
        teacher.vocabulary,
        size=VOCABULARY_SIZE,
        min_word_count=MIN_WORD_COUNT,
    )
    if len(vocabulary) < DIM:
        raise DataError(f"{data / 'train.tsv'} gives only {len(vocabulary)} vocabulary entries; {DIM} are needed.")
    tokenizer = build_tokenizer(vocabulary)
    model = _student(vocabulary, teacher, seed)
    recipe = Recipe(epochs=epochs)
    examples = _examples(_both_spellings(kept), tokenizer, logits)
    clauses = [example for example in examples if len(example.ids) >= JOINED_FROM]
    joined = join_examples(clauses, count=JOINED_TEXTS, longest=MAX_LENGTH, seed=seed) if clauses else []
    examples += joined
    console.print(f"{len(examples)} training texts, {len(held_out)} held out, {len(vocabulary)} vocabulary entries")
    started = time.monotonic()
    curve = train(
        model,
        examples,
        _examples(held_out, tokenizer, logits),
        recipe,
        pad_id=SPECIAL_TOKENS.index("[PAD]"),
        mask_id=SPECIAL_TOKENS.index("[MASK]"),
        seed=seed,
        bfloat16=bfloat16,
        report=_print_epoch,
    )
    seconds = time.monotonic() - started

    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".training-", dir=out.parent) as scratch:
        folder = Path(scratch) / "default"
        folder.mkdir()
        _save(model, tokenizer, folder)
        stored = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
        dev_accuracy = accuracy(stored, _examples(dev, tokenizer, None), SPECIAL_TOKENS.index("[PAD]"))
        console.print(f"SST-2 dev accuracy of the stored file: {dev_accuracy:.4f} ({len(dev)} sentences)")
        facts = Facts(
            config=model.config.to_dict(),
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            min_word_count=MIN_WORD_COUNT,
            teacher=teacher_path.name,
            training_texts=len(examples) - len(joined),
            joined_texts=len(joined),
            longest=max(len(example.ids) for example in examples),
            held_out=len(held_out),
            recipe=recipe,
            curve=curve,
            seed=seed,
            threads=threads,
            bfloat16=bfloat16,
            seconds=seconds,
            dev_rows=len(dev),
            dev_accuracy=dev_accuracy,
        )
        (folder / "README.md").write_text(model_card(facts), encoding="utf-8")
        _replace(folder, out)
    return dev_accuracy


def _cpu_capabilities() -> dict[str, object]:
    """What torch knows about the processor; older releases do not say."""
    return dict(getattr(torch.cpu, "get_capabilities", dict)())


def _check_output(out: Path) -> None:
    """Refuses, before the work, to replace what is not a checkpoint."""
    if out.is_dir() and any(out.iterdir()) and not (out / "config.json").is_file():
        raise OutputError(f"{out} is not empty and holds no checkpoint.", hint="Name another --out.")
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file.", hint="Name a folder as --out.")


def _open_teacher(path: Path) -> Teacher:
    if not (path / "model.safetensors").is_file():
        raise CheckpointError(f"The teacher {path} has no model.safetensors.", hint="Name a checkpoint's folder.")
    try:
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        model = AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32)
    except Exception as error:  # tokenizers, safetensors and transformers raise many kinds for broken files
        raise CheckpointError(f"The teacher {path} cannot be loaded: {error}") from error
    vocabulary = tokenizer.get_vocab()
    missing = [token for token in SPECIAL_TOKENS if token not in vocabulary]
    if missing:
        raise CheckpointError(f"The teacher's tokenizer has no {', '.join(missing)}.", hint="It must be BERT's.")
    if model.config.num_labels != len(LABELS):
        raise CheckpointError(f"The teacher has {model.config.num_labels} labels; SST-2 has {len(LABELS)}.")
    width = model.get_input_embeddings().weight.shape[1]
    if width < DIM:
        raise CheckpointError(f"The teacher's embeddings are {width} wide, the student's {DIM}; it must be larger.")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return Teacher(path, model, tokenizer, vocabulary, vocabulary["[PAD]"])


def _teacher_logits(teacher: Teacher, texts: Sequence[str], bfloat16: bool) -> NDArray[np.float32]:
    """The teacher's logits [texts, labels], from the temporary folder when they are there."""
    digest = hashlib.sha256((teacher.path / "model.safetensors").read_bytes())
    digest.update("\n".join(texts).encode())
    cache = Path(tempfile.gettempdir()) / f"edgebert-teacher-{digest.hexdigest()[:16]}.npy"
    if cache.is_file():
        console.print(f"Teacher logits from {cache}")
        cached: NDArray[np.float32] = np.load(cache, allow_pickle=False)
        return cached
    ids = [encoding.ids for encoding in teacher.tokenizer.encode_batch(list(texts))]
    with Progress(console=console) as progress:
        task = progress.add_task("Teacher logits", total=len(texts))
        logits = predict(
            teacher.model,
            ids,
            pad_id=teacher.pad_id,
            bfloat16=bfloat16,
            progress=lambda done: progress.update(task, completed=done),
        )
    with tempfile.NamedTemporaryFile(dir=cache.parent, suffix=".npy", delete=False) as file:
        np.save(file, logits)
    Path(file.name).replace(cache)
    return logits


def _both_spellings(phrases: Sequence[sst2.Phrase]) -> list[sst2.Phrase]:
    """The distinct phrases, and those with a contraction once more as people write it."""
    written = (sst2.Phrase(sst2.as_written(phrase.text), phrase.label) for phrase in phrases)
    return list(dict.fromkeys([*phrases, *written]))


def _examples(
    phrases: Sequence[sst2.Phrase], tokenizer: Tokenizer, logits: dict[str, NDArray[np.float32]] | None
) -> list[Example]:
    """Tokenized phrases; both spellings of a phrase have the logits of the one in the corpus."""
    by_text = {} if logits is None else {sst2.as_written(text): tuple(map(float, row)) for text, row in logits.items()}
    encodings = tokenizer.encode_batch([phrase.text for phrase in phrases])
    return [
        Example(tuple(encoding.ids), phrase.label, by_text.get(sst2.as_written(phrase.text), ()))
        for phrase, encoding in zip(phrases, encodings, strict=True)
    ]


def _student(vocabulary: Sequence[str], teacher: Teacher, seed: int) -> DistilBertForSequenceClassification:
    """A small DistilBERT whose word embeddings are the teacher's, on their principal axes."""
    torch.manual_seed(seed)
    config = DistilBertConfig(
        vocab_size=len(vocabulary),
        max_position_embeddings=MAX_LENGTH,
        dim=DIM,
        n_layers=LAYERS,
        n_heads=HEADS,
        hidden_dim=4 * DIM,
        initializer_range=0.04,
        seq_classif_dropout=0.1,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
        problem_type="single_label_classification",
        pad_token_id=SPECIAL_TOKENS.index("[PAD]"),
    )
    model = DistilBertForSequenceClassification(config)
    embeddings = teacher.model.get_input_embeddings().weight.detach().numpy()
    pieces = teacher_pieces(vocabulary, teacher.vocabulary)
    table = np.stack([embeddings[ids].mean(axis=0) for ids in pieces])
    with torch.no_grad():
        # A position that no text reaches keeps this value and then adds nothing, rather than noise.
        model.distilbert.embeddings.position_embeddings.weight.zero_()
        model.get_input_embeddings().weight.copy_(torch.from_numpy(project_embeddings(table, DIM, std=EMBEDDING_STD)))
    return model


def _save(model: DistilBertForSequenceClassification, tokenizer: Tokenizer, folder: Path) -> None:
    """Writes float16 tensors with a config that asks for float32 arithmetic, and the tokenizer."""
    tensors = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    (folder / "model.safetensors").write_bytes(save(tensors, metadata={"format": "pt"}))
    model.config.architectures = [type(model).__name__]
    model.config.dtype = "float32"
    model.config.to_json_file(folder / "config.json")
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    special = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL_TOKENS, strict=True))
    settings = {
        "tokenizer_class": "DistilBertTokenizer",
        "do_lower_case": True,
        "strip_accents": True,
        "model_max_length": MAX_LENGTH,
        "model_input_names": ["input_ids", "attention_mask"],
        **special,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _replace(folder: Path, out: Path) -> None:
    """Moves the finished folder into place; the older one goes only when the new one is there."""
    older = folder.parent / "older"
    try:
        if out.exists():
            out.rename(older)
        folder.rename(out)
    except OSError as error:
        if older.exists() and not out.exists():
            older.rename(out)
        raise OutputError(f"{out} cannot be written: {error.strerror}.") from error
    shutil.rmtree(older, ignore_errors=True)


def _print_epoch(epoch: Epoch) -> None:
    console.print(
        f"epoch {epoch.number:2}  loss {epoch.loss:.4f}  held-out accuracy {epoch.accuracy:.4f}  {epoch.seconds:.0f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
