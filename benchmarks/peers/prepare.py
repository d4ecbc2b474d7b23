"""The process that makes a peer's files, in the environment that it is made with.

``harness.files`` starts it: ``python prepare.py MODULE VARIANT OUT CHECKPOINT DATA [FILES_OF_ANOTHER_PEER]``. ``OUT``
is an empty folder.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from serving.source import Source


def main(module: str, variant: str, out: str, checkpoint: str, data: str, needs: str = "") -> None:
    """Prepare one peer."""
    source = Source(Path(checkpoint), Path(data), Path(needs) if needs else None)
    importlib.import_module(f"serving.{module}").prepare(source, variant, Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
