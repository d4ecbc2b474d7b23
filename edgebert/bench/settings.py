"""What changes speed and belongs neither to the machine nor to the plan: clocks, affinity, environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from edgebert.devices.kernel_files import read_text

_VARIABLES = (
    "GOMP_", "KMP_", "LD_PRELOAD", "MALLOC_", "MKL_", "NUMEXPR_", "OMP_", "ONEDNN_", "OPENBLAS_", "TBB_",
    "TF_ENABLE_", "TF_NUM_", "XNNPACK_",
)  # fmt: skip
"""Beginnings of the names of environment variables that thread pools, kernels and allocators read."""


def read_settings(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Everything that is set, by name: ``governor``, ``boost``, ``cpus``, and environment variables.

    Args:
        root: where ``/proc`` and ``/sys`` are.
        environment: the environment variables.
    """
    found = {}
    folder = root / "sys/devices/system/cpu/cpufreq"
    governors = {
        read_text(root, f"/sys/devices/system/cpu/cpufreq/{path.name}/scaling_governor").strip()
        for path in (folder.glob("policy*") if folder.is_dir() else ())
    } - {""}
    if governors:
        found["governor"] = ", ".join(sorted(governors))
    boost = read_text(root, "/sys/devices/system/cpu/cpufreq/boost").strip()
    if boost:
        found["boost"] = boost
    for line in read_text(root, "/proc/self/status").splitlines():
        name, _, value = line.partition(":")
        if name == "Cpus_allowed_list":
            found["cpus"] = value.strip()
    found.update((name, environment[name]) for name in sorted(environment) if name.startswith(_VARIABLES))
    return found
