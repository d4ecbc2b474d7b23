from __future__ import annotations

import sys

import pytest


@pytest.fixture
def site(tmp_path, monkeypatch):
    """An empty package folder that replaces the installed packages."""
    kept = [path for path in sys.path if "-packages" not in path]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *kept])
    return tmp_path
