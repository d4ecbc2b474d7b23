"""The limits of format ``edgebert/1``: what is larger than any honest bundle is refused before it is read."""

from __future__ import annotations

from typing import Final

GIB: Final = 1 << 30
MIB: Final = 1 << 20

MAX_MANIFEST_BYTES: Final = 4 * MIB
MAX_FILE_BYTES: Final = 16 * GIB
MAX_GOLDEN_BYTES: Final = 64 * MIB

MAX_ARTIFACTS: Final = 1000
MAX_ARTIFACT_FILES: Final = 1000
MAX_CASCADE_FILES: Final = 10_000
MAX_PROFILES: Final = 1000
MAX_LABELS: Final = 100_000
MAX_TENSORS: Final = 16
MAX_RANK: Final = 8
MAX_DIMENSION: Final = (1 << 31) - 1
MAX_BUCKETS: Final = 64
MAX_TOKENS: Final = 65_536
MAX_MEMORY_MB: Final = 100_000_000
MAX_THREADS: Final = 1024
MAX_GOLDEN_ROWS: Final = 4096
MAX_ENTRIES: Final = 1000  # in provenance.files, .tools and .command, and in requires.isa and .runtimes

MAX_PATH: Final = 512
MAX_NAME: Final = 128
MAX_TEXT: Final = 4096
