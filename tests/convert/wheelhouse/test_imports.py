"""Filling a wheelhouse needs nothing that runs a model, and none of the converter's libraries."""

from __future__ import annotations

import sys

import pytest

from tests.test_imports import MODULES, imports_of

OWN = sorted(name for name in MODULES if name.startswith("edgebert.convert.wheelhouse"))


@pytest.mark.parametrize("name", OWN)
def test_imports(name: str) -> None:
    used = {one for one in imports_of(name) if one.startswith("edgebert.")}
    rooms = ("edgebert.bundle", "edgebert.devices", "edgebert.errors", "edgebert.convert.wheelhouse")
    assert {one for one in used if not one.startswith((*rooms, "edgebert.convert.target"))} == set()
    others = {one.partition(".")[0] for one in imports_of(name)} - sys.stdlib_module_names
    assert others <= {"edgebert", "packaging"}
