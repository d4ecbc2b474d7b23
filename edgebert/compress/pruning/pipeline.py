"""Pruning: from a checkpoint and texts to a narrower checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgebert.bundle.interrupt import hold_interrupt
from edgebert.compress.distillation.batches import Collator
from edgebert.compress.distillation.card import CARD_NAME
from edgebert.compress.distillation.examples import check_files
from edgebert.compress.distillation.origin import described, now, versions
from edgebert.compress.distillation.progress import Progress, Silent
from edgebert.compress.distillation.reading import LABEL_WIDTHS, example_files, masking_of
from edgebert.compress.distillation.recovery import (
    Recovery,
    Start,
    check_recovery,
    open_scorer,
    score_stored,
    write_facts,
    write_smaller,
)
from edgebert.compress.distillation.result import write_checkpoint
from edgebert.compress.distillation.store import StoreFacts, TrainingData, file_sha256, write_store
from edgebert.compress.distillation.teacher import Teacher, load_teacher, parameters, transformers_model
from edgebert.compress.pruning.compensate import compensated, mean_units
from edgebert.compress.pruning.cut import cut, most_important
from edgebert.compress.pruning.facts import PRUNE_NAME, PruneFacts, model_card, rounded
from edgebert.compress.pruning.importance import Batch, measure_importance
from edgebert.convert.evaluation.texts import EvalColumns
from edgebert.convert.quiet import captured_output
from edgebert.errors import CheckpointError, DataError, OptionError
from edgebert.runtime.tokenization import TextTokenizer

_TOKENS = 1024
"""Of a batch, padding included: what a derivative needs is some 300 KB a token for a DistilBERT of usual size."""


def prune(
    checkpoint: str,
    out: Path,
    data: Sequence[Path],
    *,
    heads: int | None = None,
    hidden_dim: int | None = None,
    columns: EvalColumns | None = None,
    limit: int = 1000,
    seed: int = 0,
    evaluation: Path | None = None,
    recovery: Recovery | None = None,
    revision: str | None = None,
    allow_pickle: bool = False,
    command: Sequence[str] = (),
    progress: Progress | None = None,
) -> PruneFacts:
    """Writes a checkpoint again with its most important heads and feed-forward units.

    The size of a head stays, and DistilBERT's width is that of all heads together: with heads go channels.

    Args:
        checkpoint: a DistilBERT directory with a head, or a name on the Hugging Face hub.
        out: the directory to make.
        data: the files to measure importance on; see :class:`edgebert.compress.distillation.examples.ExampleFile`.
        heads: how many heads each layer keeps; all by default.
        hidden_dim: how many units each feed-forward keeps; all by default.
        columns: of all files that are tables.
        limit: how many examples, chosen by chance, importance is measured on at most.
        seed: of that choice, and of what is masked for a masked language model.
        evaluation: a file with right answers, to score the checkpoint before and after.
        recovery: a distillation from the whole checkpoint afterwards.
        revision: branch, tag or commit, for a hub name.
        allow_pickle: accept ``pytorch_model.bin``.
        command: the command line, for the provenance.
        progress: is told where it is.

    Returns:
        What ``prune.json`` in ``out`` holds as well.

    Raises:
        CheckpointError: it cannot be loaded, is no DistilBERT, or is for a task that cannot be distilled.
        DataError: a file is not usable, or is empty.
        OptionError: nothing would be pruned, or a size is not possible.
        OutputError: ``out`` exists or cannot be written, or the work folder is another run's.
        TrainingError: as :func:`edgebert.compress.distillation.pipeline.distill` does, with ``recovery``.
    """
    progress, columns = progress or Silent(), columns or EvalColumns()
    check_files(list(data))
    progress.stage("reading the checkpoint")
    _import_libraries()
    loaded = load_teacher(checkpoint, revision=revision, allow_pickle=allow_pickle)
    config = loaded.checkpoint.config
    _check(loaded, heads, hidden_dim, data, limit, seed)
    check_recovery(recovery, out, longest=loaded.checkpoint.max_length)
    tokenizer = TextTokenizer(
        loaded.checkpoint.tokenizer_json, max_length=loaded.checkpoint.max_length, pad_id=loaded.checkpoint.pad_id
    )
    scorer = open_scorer(loaded, evaluation, columns)
    head_size = config["dim"] // config["n_heads"]
    sizes = {
        "heads": (config["n_heads"], heads or config["n_heads"]),
        "dim": (config["dim"], head_size * (heads or config["n_heads"])),
        "hidden_dim": (config["hidden_dim"], hidden_dim or config["hidden_dim"]),
    }

    def write(folder: Path, scratch: Path) -> None:
        progress.stage("tokenizing the texts")
        files = example_files(loaded, data, columns, max_length=tokenizer.max_length)
        stored = write_store(scratch, files, LABEL_WIDTHS[loaded.task.name])
        batches = _batches(loaded, tokenizer, scratch, min(limit, stored.examples), seed)
        progress.stage(f"measuring importance on {sum(len(batch['labels']) for batch in batches):,} examples")
        importance = measure_importance(loaded.model, loaded.task.name, batches)
        kept = most_important(
            importance, heads=sizes["heads"][1], head_size=head_size, hidden_dim=sizes["hidden_dim"][1]
        )
        pruned = cut(loaded.checkpoint, kept)
        if hidden_dim is not None:
            pruned = compensated(loaded.checkpoint, pruned, kept, mean_units(loaded.model, batches))
        write_checkpoint(folder, transformers_model(pruned), loaded)
        progress.stage("checking what was written" if scorer is None else "scoring before and after")
        measured = score_stored(folder, scorer)
        facts = PruneFacts(
            task=loaded.task.name,
            checkpoint=described(loaded.checkpoint),
            sizes=sizes,
            parameters=parameters(pruned),
            data=_data_facts(stored, min(limit, stored.examples), seed),
            kept={name: None if part is None else part.tolist() for name, part in _parts(kept)},
            scores={name: None if part is None else rounded(part) for name, part in _parts(importance)},
            evaluation=measured,
            recovery=None,
            versions=versions(),
            command=tuple(command),
            created=now(),
        )
        write_facts(folder / PRUNE_NAME, facts.to_dict())
        (folder / CARD_NAME).write_text(model_card(facts, out.name), encoding="utf-8")

    arguments = {
        "checkpoint": dict(loaded.checkpoint.files),
        "heads": heads,
        "hidden_dim": hidden_dim,
        "data": file_sha256(data),
        "columns": [columns.text, columns.pair, columns.label],
        "limit": limit,
        "seed": seed,
        "evaluation": None if evaluation is None else file_sha256([evaluation]),
    }
    written = write_smaller(
        out,
        Start("pruned", PRUNE_NAME, arguments, write),
        recovery,
        loaded,
        evaluation=evaluation,
        columns=columns,
        revision=revision,
        allow_pickle=allow_pickle,
        command=command,
        progress=progress,
    )
    return PruneFacts(**written)


def _import_libraries() -> None:
    """Loads the big libraries here, where what they print on import is dropped."""
    with captured_output(), hold_interrupt():
        import optimum.exporters.tasks  # noqa: F401
        from transformers import DistilBertModel  # noqa: F401
        from transformers.utils import logging

        logging.disable_progress_bar()


def _check(
    loaded: Teacher, heads: int | None, hidden_dim: int | None, data: Sequence[Path], limit: int, seed: int
) -> None:
    if loaded.reads_types:
        raise CheckpointError(
            f"{loaded.checkpoint.source}: a {loaded.checkpoint.architecture}, and only a DistilBERT can be pruned.",
            hint="Make a DistilBERT of it first: edgebert distill, or edgebert drop-layers.",
        )
    if heads is None and hidden_dim is None:
        raise OptionError(
            "Nothing is to be pruned.", option="heads", hint="Give --heads, --hidden-dim, or both: how many to keep."
        )
    config = loaded.checkpoint.config
    for option, asked, there in (
        ("heads", heads, config["n_heads"]),
        ("hidden_dim", hidden_dim, config["hidden_dim"]),
    ):
        if asked is not None and not 1 <= asked < there:
            raise OptionError(
                f"{option}={asked} is not allowed: the checkpoint has {there}.",
                option=option,
                hint=f"Keep 1 to {there - 1}." if there > 1 else "There is none that could go.",
            )
    if not data:
        raise DataError("There is no file to measure importance on.", hint="Give one with --data.")
    if limit < 1:
        raise OptionError(f"limit={limit} is not allowed.", option="limit", hint="Use at least 1.")
    if not 0 <= seed < 2**32:
        raise OptionError(
            f"seed={seed} is not allowed.", option="seed", hint="Use a whole number from 0 to 4294967295."
        )


def _batches(loaded: Teacher, tokenizer: TextTokenizer, store: Path, count: int, seed: int) -> list[Batch]:
    """So many examples, chosen by chance, in batches of similar length."""
    examples = TrainingData(store, batch_size=1, steps=count, seed=seed)
    masking = masking_of(loaded, tokenizer)
    collate = Collator(
        pad_id=loaded.checkpoint.pad_id,
        per_token=examples.facts.label_width < 0 or masking is not None,
        masking=masking,
        seed=seed,
    )
    groups: list[list[Any]] = []
    for example in sorted((examples[place] for place in range(count)), key=lambda one: -len(one["ids"])):
        if not groups or (len(groups[-1]) + 1) * len(groups[-1][0]["ids"]) > _TOKENS:
            groups.append([])
        groups[-1].append(example)
    return [collate(group) for group in groups]


def _parts(values: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 (Kept or Importance)
    return [(name, getattr(values, name)) for name in ("heads", "units", "channels", "pooled")]


def _data_facts(stored: StoreFacts, measured: int, seed: int) -> dict[str, Any]:
    names = ("files", "examples", "labelled")
    return {**{name: asdict(stored)[name] for name in names}, "measured": measured, "seed": seed}
