"""``python -m edgebert``: the ``edgebert`` command where its script is not on the path."""

from __future__ import annotations

from edgebert.cli import main

main()
