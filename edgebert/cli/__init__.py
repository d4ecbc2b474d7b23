"""The command line: ``edgebert VERB``. One module per verb; each is imported when its verb is used."""

from __future__ import annotations

from edgebert.cli.app import main

__all__ = ["main"]
