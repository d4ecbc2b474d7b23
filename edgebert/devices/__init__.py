"""What this machine is and which inference backends are installed on it, found out without importing any of them."""

from __future__ import annotations

from edgebert.devices.backends import Runtime, find_runtimes
from edgebert.devices.cpuinfo import KNOWN_VENDORS
from edgebert.devices.isa import KNOWN_ISA
from edgebert.devices.machine import Machine, describe_machine
from edgebert.devices.versions import version_at_least

__all__ = [
    "KNOWN_ISA",
    "KNOWN_VENDORS",
    "Machine",
    "Runtime",
    "describe_machine",
    "find_runtimes",
    "version_at_least",
]
