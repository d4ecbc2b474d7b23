"""The model card of the embedded checkpoint, written from what the training run measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Template
from typing import Any

from edgebert.compress.distill import Epoch, Recipe


@dataclass(frozen=True, slots=True)
class Facts:
    """What the card says: ``config`` is the student's, accuracies are in [0, 1]."""

    config: Mapping[str, Any]
    parameters: int
    min_word_count: int
    teacher: str
    training_texts: int
    joined_texts: int
    longest: int
    held_out: int
    recipe: Recipe
    curve: Sequence[Epoch]
    seed: int
    threads: int
    bfloat16: bool
    seconds: float
    dev_rows: int
    dev_accuracy: float


_CARD = Template("""\
---
language: en
license: apache-2.0
library_name: transformers
pipeline_tag: text-classification
tags: [distilbert, sentiment, demo]
datasets: [stanfordnlp/sst2]
metrics: [accuracy]
---

# EdgeBERT's default checkpoint

A small DistilBERT for English sentiment (NEGATIVE, POSITIVE). It comes with EdgeBERT so that the demo, the tests and
the benchmarks have a real, trained model without a download. **It is a demo model**: for work, convert a checkpoint
of your own.

**Measured:** $dev_percent % accuracy on the $dev_rows sentences of SST-2's dev set ($dev_correct right), with the
stored float16 weights loaded into float32 by `transformers`. Hyper-parameters were compared
on sentences held out of the training file. The dev set was looked at once before, for a run of 8 epochs (79.01 %): its
distance from the held-out accuracy of that run showed that the held-out part leaked into training. That was repaired,
and the number of epochs lowered, before the run described here.

## Model

| | |
|---|---|
| architecture | `DistilBertForSequenceClassification`, $layers layers, width $dim, $heads heads, feed-forward $hidden |
| parameters | $parameters, stored as float16; `config.json` asks for float32 arithmetic |
| vocabulary | $vocabulary WordPiece entries, uncased, accents stripped |
| longest input | $positions tokens; the longest text in training had $longest |

The vocabulary holds every printable ASCII character, so that ASCII text never becomes `[UNK]` (words of more than 100
characters do, as in every BERT tokenizer), the words that occur at least $min_word_count times in the training
phrases, and the teacher's pieces of the rarer ones. Uncased, because the training phrases are all lower-case: the
entries of a cased model that begin with a capital would never have been trained. Emoji and other scripts are `[UNK]`.

## Training

| | |
|---|---|
| data | SST-2 (GLUE's `train.tsv`): $training_texts texts, phrases that occur twice once, contractions also as people write them (`isn't` beside `is n't`); and $joined_texts long texts, each 2 to 10 of these with one label in a row, with the mean of their teacher logits |
| held out | $held_out whole sentences (the teacher was trained on some of the training file, these included, so its soft answers are better here than on new text); their phrases of four words or more were taken out of the training part |
| teacher | `$teacher`: six layers, width 768, fine-tuned on SST-2; its logits computed once |
| start | word embeddings: the teacher's table on its first $dim principal axes; positions zero; the rest random |
| loss | KL divergence to the teacher at temperature $temperature, weight $soft; cross-entropy, weight $hard (Hinton et al. 2015, arXiv 1503.02531; Sanh et al. 2019, arXiv 1910.01108) |
| optimizer | AdamW, learning rate $learning_rate (embeddings $embedding_learning_rate), weight decay $weight_decay, batch $batch, linear warm-up and decay, gradient norm at most 1 |
| noise | $mask_rate of the input tokens replaced by `[MASK]`; dropout $dropout |
| run | seed $seed, $threads CPU thread(s), $arithmetic matrix products, $minutes minutes, without the teacher's logits |

```
python -m edgebert.compress.train_default --data SST2 --teacher $teacher --out edgebert/assets/default --seed $seed --epochs $epochs --threads $threads
```

```
$curve
```

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


def model_card(facts: Facts) -> str:
    """The card in Hugging Face's form: YAML front matter, then Markdown."""
    config, recipe = facts.config, facts.recipe
    return _CARD.substitute(
        dev_percent=f"{100 * facts.dev_accuracy:.2f}",
        dev_rows=facts.dev_rows,
        dev_correct=round(facts.dev_accuracy * facts.dev_rows),
        layers=config["n_layers"],
        dim=config["dim"],
        heads=config["n_heads"],
        hidden=config["hidden_dim"],
        positions=config["max_position_embeddings"],
        vocabulary=f"{config['vocab_size']:,}",
        parameters=f"{facts.parameters:,}",
        min_word_count=facts.min_word_count,
        joined_texts=f"{facts.joined_texts:,}",
        longest=facts.longest,
        training_texts=f"{facts.training_texts:,}",
        held_out=facts.held_out,
        teacher=facts.teacher,
        temperature=recipe.temperature,
        soft=f"{1 - recipe.hard_weight:g}",
        hard=f"{recipe.hard_weight:g}",
        learning_rate=recipe.learning_rate,
        embedding_learning_rate=recipe.embedding_learning_rate,
        weight_decay=recipe.weight_decay,
        batch=recipe.batch_size,
        mask_rate=recipe.mask_rate,
        dropout=config["dropout"],
        seed=facts.seed,
        threads=facts.threads,
        arithmetic="bfloat16" if facts.bfloat16 else "float32",
        minutes=f"{facts.seconds / 60:.1f}",
        epochs=recipe.epochs,
        curve="\n".join(
            f"epoch {epoch.number:2}  loss {epoch.loss:.4f}  held-out accuracy {epoch.accuracy:.4f}"
            for epoch in facts.curve
        ),
    )
