"""The machine on which evidence is measured, as the evidence says it."""

from __future__ import annotations

from typing import Any

from edgebert.devices import describe_machine


def machine_facts() -> dict[str, Any]:
    """System, architecture, CPU, its ISA features, physical cores, and memory in bytes."""
    machine = describe_machine()
    return {
        "system": machine.system,
        "architecture": machine.architecture,
        "model": machine.model,
        "isa": sorted(machine.isa),
        "physical_cores": machine.physical_cores,
        "memory_bytes": machine.memory_bytes,
    }
