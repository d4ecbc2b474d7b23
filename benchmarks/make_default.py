#!/usr/bin/env python3
"""Make the checkpoint that comes with EdgeBERT: a small DistilBERT for sentiment, distilled from a large one.

    python benchmarks/make_default.py --data SST2 --teacher CHECKPOINT --work DIR --out edgebert/assets/default

`SST2` is a folder with GLUE's `train.tsv` and `dev.tsv`, `CHECKPOINT` a DistilBERT that was fine-tuned on it. The texts
are prepared here (`sst2_texts.py`); the rest is done by `edgebert trim-vocab`, `edgebert distill` and `edgebert
convert`. Hyper-parameters are to be compared on the sentences held out of `train.tsv`; `dev.tsv` is measured at the end
alone, on what is stored. What `--work` has from a run that was stopped is not made again. Exit status: that of the
command that failed, 1 if something else is wrong, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import sst2_texts
from safetensors.torch import load_file, save_file

from edgebert.errors import CheckpointError, EdgebertError, OutputError

MIN_COUNT = 2  # of a token in the phrases
HELD_OUT_SENTENCES = 1000
CLAUSE_WORDS = 8  # whole clauses, not single words
JOINED_TEXTS, JOINED_WORDS = 1000, 250
VARIED_TEXTS = 40_000
SEED = 0
TEXTS = ("phrases.tsv", "joined.txt", "varied.txt")
STUDENT = {"--layers": "3", "--dim": "192", "--heads": "4"}
RECIPE = {
    "--max-steps": "3250", "--batch-size": "32", "--learning-rate": "8e-4", "--warmup": "0.1", "--weight-decay": "0.05",
    "--alpha-kl": "5", "--alpha-task": "2", "--alpha-cos": "0", "--temperature": "2", "--precision": "bf16",
    "--seed": str(SEED),
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the checkpoint as the command line says, and return the exit status."""
    parser = argparse.ArgumentParser(description="Make the checkpoint that comes with EdgeBERT.")
    parser.add_argument("--data", type=Path, required=True, help="folder with SST-2's train.tsv and dev.tsv")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of the teacher's checkpoint")
    parser.add_argument("--work", type=Path, required=True, help="folder for texts and models; what is there is kept")
    parser.add_argument("--out", type=Path, required=True, help="folder to write; an older checkpoint is replaced")
    options = parser.parse_args(arguments)
    try:
        make(options.data.resolve(), options.teacher.resolve(), options.work.resolve(), options.out.resolve())
    except EdgebertError as error:
        print(f"Error: {error.message}\nHint: {error.hint}".removesuffix("\nHint: "), file=sys.stderr)
        return error.exit_code
    except subprocess.CalledProcessError as error:
        return error.returncode
    except KeyboardInterrupt:
        return 130
    return 0


def make(data: Path, teacher: Path, work: Path, out: Path) -> None:
    """Prepare the texts, run the commands, and put the result in its place.

    What `work` has from a run that was stopped is not made again.

    Raises:
        DataError: SST-2 is not there or not in GLUE's form.
        CheckpointError: the teacher is not there.
        OutputError: `out` holds something else.
        CalledProcessError: a command failed, and has said why.
    """
    if out.exists() and not (out / "config.json").is_file():
        raise OutputError(f"'{out}' exists and holds no checkpoint.", hint="Name another --out.")
    phrases = sst2_texts.read(data / "train.tsv")
    for name in ("config.json", "model.safetensors", "tokenizer_config.json", "tokenizer.json"):
        if not (teacher / name).is_file():
            raise CheckpointError(f"'{teacher}' has no {name}.", hint="Name a checkpoint's folder as --teacher.")
    work.mkdir(parents=True, exist_ok=True)
    write_texts(phrases, work)
    uncased(teacher, work / "uncased")
    if not (work / "trimmed").exists():
        corpus = ["--texts", TEXTS[0], "--held-out", "held-out.tsv", "--min-count", str(MIN_COUNT)]
        edgebert(work, "trim-vocab", "uncased", "-o", "trimmed", *corpus)
    if not (work / "student").exists():
        texts = [part for name in TEXTS for part in ("--data", name)]
        options = [part for pair in {**STUDENT, **RECIPE}.items() for part in pair]
        edgebert(work, "distill", "trimmed", "-o", "student", *texts, "--eval", "held-out.tsv", *options, "--resume")
    shutil.rmtree(work / "default", ignore_errors=True)
    shutil.copytree(work / "student", work / "default")
    store_as_float16(work / "default")
    measured = ["--target", "x86-cpu", "--eval", str(data / "dev.tsv")]
    edgebert(work, "convert", "default", "-o", "bundle", "--overwrite", *measured)
    evidence = json.loads((work / "bundle/evidence.json").read_text(encoding="utf-8"))
    card = model_card(work / "default", evidence, teacher.name)
    (work / "default/README.md").write_text(card, encoding="utf-8")
    replace(work / "default", out)


def write_texts(phrases: Sequence[sst2_texts.Phrase], folder: Path) -> None:
    """Write what is distilled from, and the sentences that are held out."""
    kept, held_out = sst2_texts.hold_out(phrases, sentences=HELD_OUT_SENTENCES, seed=SEED)
    spelled = sst2_texts.both_spellings(kept)
    clauses = [phrase for phrase in spelled if phrase.text.count(" ") + 1 >= CLAUSE_WORDS]
    joined = sst2_texts.joined(clauses, count=JOINED_TEXTS, longest=JOINED_WORDS, seed=SEED)
    varied = sst2_texts.varied([phrase.text for phrase in clauses], count=VARIED_TEXTS, seed=SEED)
    sst2_texts.write_table(folder / "held-out.tsv", held_out)
    sst2_texts.write_table(folder / TEXTS[0], spelled)
    (folder / TEXTS[1]).write_text("\n".join(joined) + "\n", encoding="utf-8")
    (folder / TEXTS[2]).write_text("\n".join(varied) + "\n", encoding="utf-8")


def uncased(teacher: Path, folder: Path) -> None:
    """Write the teacher with a tokenizer that puts texts in lower case, without accents.

    SST-2 is all lower-case: of a cased student, the tokens that begin with a capital would hardly be trained.
    """
    folder.mkdir(exist_ok=True)
    shutil.copyfile(teacher / "config.json", folder / "config.json")
    (folder / "model.safetensors").unlink(missing_ok=True)
    (folder / "model.safetensors").symlink_to(teacher / "model.safetensors")
    tokenizer = json.loads((teacher / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["normalizer"].update(lowercase=True, strip_accents=True)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    settings = json.loads((teacher / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings.update(do_lower_case=True, strip_accents=True)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def edgebert(folder: Path, *arguments: str) -> None:
    """Run a command of the project in a folder."""
    print("$ edgebert", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "edgebert", *arguments], cwd=folder, check=True)


def store_as_float16(folder: Path) -> None:
    """Halve the weights' size; `config.json` goes on asking for float32 arithmetic."""
    path = folder / "model.safetensors"
    tensors = {name: tensor.half() for name, tensor in load_file(path).items()}
    mode = path.stat().st_mode & 0o777
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(mode)  # safetensors writes files for the owner alone


def replace(folder: Path, out: Path) -> None:
    """Move the finished folder into place; the older one goes only when the new one is there."""
    new, older = (out.with_name(f".{out.name}.{name}") for name in ("new", "older"))
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(folder, new)  # perhaps on another disk
    if out.exists():
        out.rename(older)
    new.rename(out)
    shutil.rmtree(older, ignore_errors=True)


_CARD = Template("""\
---
language: en
license: apache-2.0
library_name: transformers
pipeline_tag: text-classification
tags: [distilbert, distillation, sentiment, demo]
datasets: [stanfordnlp/sst2]
metrics: [accuracy]
---

# EdgeBERT's default checkpoint

A small DistilBERT for English sentiment (NEGATIVE, POSITIVE). It comes with EdgeBERT so that the demo, the tests and
the benchmarks have a real, trained model without a download. **It is a demo model**: for work, convert a checkpoint
of your own.

**Measured:** $percent % accuracy on the $rows sentences of SST-2's dev set ($right right), with the stored float16
weights in float32 arithmetic. As `edgebert convert` makes it for `x86-cpu`:

| artifact | size | dev accuracy |
|---|---:|---:|
$artifacts

No choice was made by the dev set; sentences held out of the training file, whose score is below, are there for that.
All of it was made by `python benchmarks/make_default.py --data SST2 --teacher $teacher --work DIR --out
edgebert/assets/default`: the texts by the script, the vocabulary by `edgebert trim-vocab`, the student by `edgebert
distill`.

$distilled
## Texts

| | |
|---|---|
| `phrases.tsv` | SST-2 (GLUE's `train.tsv`): phrases that occur twice once, contractions also as people write them (`isn't` beside `is n't`); without the phrases of four words or more that are part of a held-out sentence |
| `joined.txt` | $joined long texts, each 2 to 10 of the phrases of eight words or more with one label in a row; without labels |
| `varied.txt` | $varied of these phrases, each with one word in ten left out and one in ten exchanged for another; without labels |
| `held-out.tsv` | $held_out whole sentences. `$teacher` was trained on some of the training file, these included, so that its own score on them, above, is too high, and its answers are better here than on new text |

`trimmed` is `$teacher` with the $vocabulary tokens that occur at least twice in `phrases.tsv`, or are single characters,
and with a tokenizer that puts texts in lower case, without accents: SST-2 is all lower-case, so that the tokens of a cased
student that begin with a capital would hardly be trained. ASCII text never becomes `[UNK]` (words of more than 100
characters do, as in every BERT tokenizer). The weights are stored as float16; `config.json` asks for float32 arithmetic.

## Limits

- It knows phrases and sentences of English film reviews. Other texts get an answer too, and it means less.
- There is no neutral class. Irony, comparisons and sentences that turn in the middle are often wrong.
- SST-2's sentences carry the views and biases of film critics before 2005; names of people and places may shift
  a score.

## Licence

The weights are under Apache-2.0, as is the teacher's encoder (distilbert-base-cased). SST-2 (Socher et al. 2013,
through GLUE) comes without an explicit licence; its use in research is customary. None of its text is in this folder,
beyond the single words of the vocabulary.
""")  # noqa: E501


def model_card(folder: Path, evidence: Mapping[str, Any], teacher: str) -> str:
    """The card that `edgebert distill` wrote, with what it does not know: the dev set, the texts and the limits."""
    written = (folder / "README.md").read_text(encoding="utf-8")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    measured = evidence["evaluation"]
    accuracy, rows = measured["scores"]["accuracy"], measured["texts"]
    artifacts = []
    for one in evidence["artifacts"]:
        scores = {score["metric"]: score["value"] for score in one["measurement"]["scores"]}
        artifacts.append(f"| `{one['id']}` | {one['bytes'] / 1e6:.1f} MB | {scores['accuracy']:.4f} |")
    return _CARD.substitute(
        percent=f"{100 * accuracy:.2f}",
        rows=rows,
        right=round(accuracy * rows),
        artifacts="\n".join(artifacts),
        teacher=teacher,
        vocabulary=f"{config['vocab_size']:,}",
        distilled=written[written.index("## Scores") :],
        joined=f"{JOINED_TEXTS:,}",
        varied=f"{VARIED_TEXTS:,}",
        held_out=f"{HELD_OUT_SENTENCES:,}",
    )


if __name__ == "__main__":
    sys.exit(main())
