"""What XNNPACK executes on emulated ARM CPUs, by the instructions that they have."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from tests.arm64.root import Board
from tests.arm64.test_boards import DOT_PRODUCT

SIGNATURE = "length_32"


def test_operators_are_those_of_this_machine(board: Board, cpu: str, default_bundle: Path) -> None:
    """XNNPACK takes the same operators on every CPU: what it refuses, it refuses by their types and shapes."""
    from edgebert.runtime.operators import list_operators

    done = board.run(cpu, ["-m", "edgebert", "inspect", str(default_bundle), "--ops", "--json"])
    assert done.returncode == 0, done.stderr
    [theirs] = json.loads(done.stdout)
    [ours] = list_operators(default_bundle)
    assert ours.execution is not None
    assert theirs["length"] == ours.length
    listed = [(one["count"], one["type"], one["executed_by"]) for one in theirs["execution"]["operators"]]
    assert listed == [(one.count, one.type, one.executed_by) for one in ours.execution.operators]
    # An emulated process cannot start another: nobody would emulate that one.
    assert theirs["execution"]["untold"].startswith("the kernels of XNNPACK: LiteRT's profiler cannot be started: ")


def test_kernels_follow_the_instructions(board: Board, cpu: str, default_bundle: Path) -> None:
    """With dot products: KleidiAI's, whose rows are packed (QP8); without: XNNPACK's own (QD8). No float16 anywhere."""
    file = default_bundle / "artifacts/tflite-int8/model.tflite"
    done = board.run(cpu, ["-m", "edgebert.runtime.engines.litert_profile", str(file), SIGNATURE])
    assert done.returncode == 0, done.stderr
    kernels = Counter(json.loads(done.stdout)["Delegate"])
    products = {name: count for name, count in kernels.items() if name.startswith("Fully Connected")}
    assert products == {f"Fully Connected (NC, {'QP8' if DOT_PRODUCT[cpu] else 'QD8'}, F32, QC8W) GEMM": 15}
    assert kernels["Batch Matrix Multiply (NC, F32) GEMM"] == 6
    assert not any("F16" in name for name in kernels)
