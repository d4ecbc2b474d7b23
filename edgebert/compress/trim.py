"""Trimming the vocabulary of a checkpoint to what a corpus needs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path

from tokenizers import Tokenizer

from edgebert._version import __version__
from edgebert.bundle.interrupt import hold_interrupt
from edgebert.compress.trim_counts import compare, count_tokens, is_held_out
from edgebert.compress.trim_files import TokenizerJson, check_vocabulary_file, named_ids, rewritten
from edgebert.compress.trim_reach import impossible
from edgebert.compress.trim_report import TRIM_NAME, CorpusFile, TrimReport, card_section
from edgebert.compress.trim_selection import asked_tokens, select
from edgebert.compress.trim_weights import trimmed_weights, weight_files
from edgebert.convert.checkpoint import Checkpoint, load_checkpoint
from edgebert.convert.evaluation.stream import TextStream
from edgebert.convert.evaluation.texts import EvalColumns
from edgebert.convert.quiet import captured_output
from edgebert.convert.sentence import read_sentence_modules
from edgebert.convert.source import TOKENIZER_NAME, WEIGHTS_INDEX_NAME, SourceDirectory, locate
from edgebert.convert.wheelhouse.folder import new_folder
from edgebert.errors import DataError

CARD_NAME = "README.md"

_OTHER_MODELS = (
    "*.onnx", "*.onnx_data", "*.tflite", "*.h5", "*.msgpack", "*.ot", "openvino_model*", "*.mlmodel", "*.mlpackage",
)  # fmt: skip
"""Other forms of the model, wherever they lie: what is made for them would have the old table."""
_OTHER_WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.bin.index.json", "*.pt", "*.pth", "*.ckpt")
"""Weights beside those that were read, and what training leaves, in the encoder's folder."""


def trim_vocabulary(
    checkpoint: str,
    out: Path,
    *,
    texts: Sequence[Path],
    held_out: Path | None = None,
    columns: EvalColumns | None = None,
    min_count: int = 1,
    size: int | None = None,
    keep: Sequence[str] = (),
    revision: str | None = None,
    allow_pickle: bool = False,
    command: Sequence[str] = (),
    progress: Callable[[str], object] = lambda line: None,
) -> TrimReport:
    """Writes the checkpoint again with the tokens that a corpus needs, and the rows of their embeddings.

    A text whose tokens are all kept has the same tokens afterwards, and the same logits; a text without ``[UNK]`` has
    none afterwards (``edgebert.compress.trim_closure`` says why). Every weight that stays keeps its value and its
    stored type. The corpus is read once for counting and, without ``held_out``, once more for measuring; memory does
    not grow with it.

    Args:
        checkpoint: a directory, or a name on the Hugging Face hub; whatever ``edgebert convert`` takes.
        out: the directory to make.
        texts: the files of the corpus; see ``edgebert.convert.evaluation.stream.TextStream``.
        held_out: texts to measure the change of tokenization on; by default, every twentieth text of the corpus is
            held out for that, and not counted.
        columns: where the text stands in the files that are tables.
        min_count: how often a token must occur to be kept.
        size: keep at most so many tokens, those without which the corpus would have the most tokens more; by default
            all that are needed.
        keep: tokens to keep as well, or files with one a line.
        revision: branch, tag or commit, for a hub name.
        allow_pickle: accept ``pytorch_model.bin`` where there is no safetensors. The result has safetensors.
        command: the command line, for ``trim.json``.
        progress: is told what begins.

    Returns:
        What ``trim.json`` in ``out`` holds as well.

    Raises:
        CheckpointError: the checkpoint is none that can be converted, or its files disagree.
        DataError: a file of texts is not usable, no text is there to count, or every token is needed.
        OutputError: ``out`` exists or cannot be written; nothing is left behind then.
    """
    progress("loading the libraries")
    _import_libraries()
    progress("reading the checkpoint")
    root = locate(checkpoint, revision=revision, allow_pickle=allow_pickle)
    loaded = load_checkpoint(str(root.path), allow_pickle=allow_pickle)
    modules = read_sentence_modules(root, allow_pickle=allow_pickle)
    encoder = root.folder(modules.encoder if modules else "")
    folder_name = encoder.path.relative_to(root.path)
    before = _plain(loaded.tokenizer_json)
    tokenizer = TokenizerJson(before.to_str())
    if tokenizer.unknown not in tokenizer.vocabulary:
        raise encoder.error(
            TOKENIZER_NAME,
            f"has no {tokenizer.unknown!r}, which stands for unknown words.",
            "Save it again.",
        )
    check_vocabulary_file(encoder, tokenizer)
    asked = asked_tokens(keep, tokenizer)
    corpus = [TextStream(path, columns or EvalColumns()) for path in texts]
    own = corpus
    if held_out is not None:
        own = [TextStream(held_out, columns or EvalColumns())]
        if not held_out.is_fifo():  # told before the corpus is read; what a pipe gives cannot be read again
            next(iter(own[0]), None)
    rows = int(loaded.config["vocab_size"])
    copied, left_out = _other_files(root.path, folder_name)
    read = {(folder_name / name).as_posix() for name in (*weight_files(encoder), WEIGHTS_INDEX_NAME)}

    with new_folder(out) as (new, _, publish):
        progress("counting tokens")
        counts, counted = count_tokens(before, _counted(corpus, whole=held_out is not None), rows)
        if not counted:
            raise DataError(
                f"{texts[0]}: too few texts: all of them were held out, and none is left to count.",
                hint="Give more texts, or others to measure on (--held-out).",
            )
        selection = select(
            tokenizer,
            counts,
            min_count=min_count,
            size=size,
            asked=asked,
            special=named_ids(encoder),
            impossible=impossible(before, tokenizer.vocabulary, tokenizer.prefix),
        )
        if len(selection.ids) == rows:
            raise DataError(
                f"{', '.join(map(str, texts))}: nothing to trim: each of the {rows:,} tokens is needed.",
                hint="Ask for tokens that occur more often (--min-count), or for fewer (--size).",
            )
        progress(f"writing {len(selection.ids):,} of {rows:,} tokens")
        for name in copied:
            _copy(root, name, new)
        ids = {old: place for place, old in enumerate(selection.ids)}
        for name, data in rewritten(encoder, tokenizer, ids).items():
            _write(new / folder_name / name, data)
        written = 0
        for name, data in trimmed_weights(encoder, selection.ids):
            written += len(data) if name.endswith(".safetensors") else 0
            _write(new / folder_name / name, data)
        progress("reading the result")
        trimmed = load_checkpoint(str(new))
        progress("measuring the change of tokenization")
        after = _plain(trimmed.tokenizer_json)
        hashes = [stream.sha256 for stream in corpus]
        measured = (text for stream in own for text in stream if held_out is not None or is_held_out(text))
        changes = compare(before, after, selection.ids, tokenizer.vocabulary[tokenizer.unknown], measured)
        for stream, sha256 in zip(corpus, hashes, strict=True):
            if stream.sha256 != sha256:
                raise DataError(
                    f"{stream.path}: another text when it was read for the second time, to measure on.",
                    hint="Give a file that stays as it is (no pipe), or others to measure on (--held-out).",
                )
        report = TrimReport(
            command=tuple(command),
            checkpoint=checkpoint,
            checkpoint_files=loaded.files,
            versions={"edgebert": __version__, **{name: version(name) for name in ("tokenizers", "torch")}},
            corpus=tuple(map(_file, corpus)),
            min_count=min_count,
            size=size,
            counted_texts=counted,
            held_out=_file(own[0]) if held_out is not None else None,
            changes=changes,
            vocabulary=(rows, len(selection.ids)),
            kept=selection.reasons,
            rows_without_token=rows - len(set(tokenizer.tokens().values())),
            parameters=(_parameters(loaded), _parameters(trimmed)),
            stored_bytes=(sum((encoder.path / name).stat().st_size for name in weight_files(encoder)), written),
            left_out=tuple(name for name in left_out if name not in read),
        )
        if root.has(CARD_NAME):
            section = card_section(report).encode(errors="backslashreplace")  # a path may be no UTF-8
            _write(new / CARD_NAME, root.read(CARD_NAME).rstrip() + b"\n" + section)
        _write(new / TRIM_NAME, (json.dumps(report.to_dict(), indent=1) + "\n").encode())
        publish()
    return report


def _import_libraries() -> None:
    """Load the big libraries here, where what they print on import is dropped."""
    with captured_output(), hold_interrupt():
        import optimum.exporters.tasks  # noqa: F401
        from transformers import DistilBertConfig  # noqa: F401
        from transformers.pipelines import TASK_ALIASES  # noqa: F401


def _plain(data: bytes) -> Tokenizer:
    tokenizer = Tokenizer.from_str(data.decode("utf-8"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _counted(corpus: Sequence[TextStream], *, whole: bool) -> Iterator[str]:
    return (text for stream in corpus for text in stream if whole or not is_held_out(text))


def _file(stream: TextStream) -> CorpusFile:
    return CorpusFile(str(stream.path), stream.sha256, stream.texts)


def _parameters(checkpoint: Checkpoint) -> int:
    return sum(tensor.numel() for tensor in checkpoint.tensors.values())


def _other_files(root: Path, encoder: Path) -> tuple[list[str], list[str]]:
    """The files that are copied, and those that are not since they hold the old table; relative to ``root``."""
    copied, left_out = [], []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if any(part.startswith(".") for part in name.parts[:-1]) or not path.is_file():
            continue
        weights = name.parent == encoder and any(fnmatch(name.name, pattern) for pattern in _OTHER_WEIGHTS)
        if weights or any(fnmatch(part, pattern) for part in name.parts for pattern in _OTHER_MODELS):
            left_out.append(name.as_posix())
        else:
            copied.append(name.as_posix())
    return copied, left_out


def _copy(root: SourceDirectory, name: str, new: Path) -> None:
    (new / name).parent.mkdir(parents=True, exist_ok=True)
    with root.open(name) as source, (new / name).open("xb") as target:
        shutil.copyfileobj(source, target)


def _write(path: Path, data: bytes) -> None:
    """Writes a file, also in the place of a copy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
