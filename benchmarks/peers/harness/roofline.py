"""How much of the machine's rate of matrix products EdgeBERT's bulk run reaches."""

from __future__ import annotations

import json
import statistics
import subprocess
from pathlib import Path
from typing import Any

from edgebert.bundle import Manifest
from edgebert.errors import BackendError
from harness.files import HERE, clean_environment
from harness.flops import COUNTED, Shape, needed, share
from harness.texts import Texts

BATCH = 8


def measure_rates(python: Path, texts: Texts, threads: int) -> dict[str, Any]:
    """What ``gemm.py`` says, for batches of 8 texts of median length.

    Args:
        python: of the environment ``export``.
        texts: whose lengths count.
        threads: as the peers have them.

    Raises:
        BackendError: it failed; the message ends with what it said.
    """
    tokens = BATCH * round(statistics.median(texts.tokens))
    command = [str(python), str(HERE / "gemm.py"), "--threads", str(threads), "--tokens", str(tokens)]
    done = subprocess.run(
        command, env=clean_environment(threads), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise BackendError(f"gemm.py failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    rates: dict[str, Any] = json.loads(done.stdout)
    return rates


def shares(
    rates: dict[str, Any], figures: dict[str, dict[str, Any]], manifest: Manifest, config: dict[str, Any], texts: Texts
) -> dict[str, Any]:
    """Of each artifact, the share of the rate at the model's shapes and at large ones.

    Args:
        rates: of :func:`measure_rates`.
        figures: EdgeBERT's, by peer.
        manifest: of the bundle, for the arithmetic of the artifact that ran.
        config: the checkpoint's ``config.json``.
        texts: what was answered.
    """
    shape = Shape(config["dim"], config["hidden_dim"], config["n_layers"], len(manifest.task.labels))
    work = needed(texts.tokens, shape)
    told = {}
    for name, own in figures.items():
        integer = manifest.artifact(own["facts"]["artifact"]).precision == "int8"
        arithmetic = "int8" if integer else "float32"
        if arithmetic not in rates["best"] or "float32" not in rates["best"]:
            continue
        seconds = len(texts.texts) / own["texts_per_second"]["median"]
        reached: dict[str, Any] = {"arithmetic": arithmetic}
        for case in ("model", "large"):
            linear, attention = (rates["best"][kind][case]["rate"] for kind in (arithmetic, "float32"))
            reached[case] = share(work, seconds, linear, attention)
        told[name] = reached
    counted = {"counted": COUNTED, "linear_per_text": work.linear / len(texts.texts)}
    return {"work": {**counted, "attention_per_text": work.attention / len(texts.texts)}, "shares": told}
