"""Records what the last question answering pipeline of ``transformers`` answers, for ``test_qa.py`` to compare with.

``transformers`` 5 has no such pipeline. Run this, from the root of the repository, in an environment with 4.57::

    pip install torch "transformers==4.57.*" numpy hypothesis
    PYTHONPATH=. python tests/runtime/tasks/record_qa.py

The model is a table of logits that :func:`logits` makes and both sides use; the tokenizers are recorded.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

RECORD = Path(__file__).with_name("qa_transformers_4_57.json")
MAX_LENGTH = 48
CASES = 400


def logits(input_ids: Any, side: int) -> np.ndarray:
    """Logits ``[batch, length]`` of start (side 0) or end (1), from the tokens and their places alone."""
    table = np.random.RandomState(side).normal(0, 3, 1000)  # its stream is frozen, which default_rng's is not
    ids = np.asarray(input_ids)
    return (table[ids] + np.sin(np.arange(ids.shape[1]) * (1 + side))).astype(np.float32)


def _text(rng: random.Random, pieces: list[str], longest: int) -> str:
    glue = rng.choice(["", " "])
    return glue.join(rng.choice([*pieces, " "]) for _ in range(rng.randint(1, longest)))


def _options(rng: random.Random) -> dict[str, Any]:
    drawn = {
        "top_k": rng.randint(1, 8),
        "doc_stride": rng.randint(0, 20),
        "max_answer_len": rng.randint(1, 30),
        "max_seq_len": rng.randint(16, MAX_LENGTH),
        "handle_impossible_answer": rng.random() < 0.5,
        "align_to_words": rng.random() < 0.5,
    }
    return {name: value for name, value in drawn.items() if rng.random() < 0.5}


def main() -> None:
    """Write the record."""
    import torch
    import transformers
    from transformers import DistilBertConfig, DistilBertForQuestionAnswering, PreTrainedTokenizerFast
    from transformers import QuestionAnsweringPipeline as Pipeline

    from tests.runtime.tasks.heads import PIECES, make_tokenizer

    def forward(input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
        sides = enumerate(("start_logits", "end_logits"))
        return {name: torch.from_numpy(logits(input_ids, side)) for side, name in sides}

    model = DistilBertForQuestionAnswering(DistilBertConfig(dim=4, hidden_dim=4, n_heads=1, n_layers=1))
    model.forward = forward
    rng = random.Random(0)
    tokenizers = {"cased": make_tokenizer(lowercase=False), "uncased": make_tokenizer(lowercase=True)}
    pipelines = {
        name: Pipeline(
            model=model,
            tokenizer=PreTrainedTokenizerFast(
                tokenizer_object=Tokenizer.from_str(tokenizer.to_str()),
                model_max_length=MAX_LENGTH,
                model_input_names=["input_ids", "attention_mask"],
                pad_token="[PAD]",
                cls_token="[CLS]",
                sep_token="[SEP]",
            ),
            device="cpu",
        )
        for name, tokenizer in tokenizers.items()
    }
    cases = []
    while len(cases) < CASES:
        name = rng.choice(sorted(pipelines))
        case = {
            "tokenizer": name,
            "question": _text(rng, PIECES, 6),
            "context": _text(rng, PIECES, rng.choice([6, 20, 100])),
            "options": _options(rng),
        }
        try:
            result = pipelines[name](question=case["question"], context=case["context"], **case["options"])
        except KeyboardInterrupt:
            raise
        except BaseException:  # a stride that leaves no step is a Rust panic there, which is no Exception
            continue
        cases.append({**case, "result": result})
    record = {
        "transformers": transformers.__version__,
        "tokenizers": {name: json.loads(tokenizer.to_str()) for name, tokenizer in tokenizers.items()},
        "cases": cases,
    }
    lines = [json.dumps(case, ensure_ascii=True) for case in record.pop("cases")]
    head = json.dumps(record)[:-1]
    RECORD.write_text(f'{head}, "cases": [\n' + ",\n".join(lines) + "\n]}\n", encoding="ascii")


if __name__ == "__main__":
    main()
