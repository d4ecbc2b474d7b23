"""Made-up installed packages."""

from __future__ import annotations

from pathlib import Path


def install(site: Path, distribution: str, version: str, module: str = "", *, metadata: str | None = None) -> None:
    info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    text = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n" if metadata is None else metadata
    (info / "METADATA").write_text(text)
    if module:
        path = site / (module.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        # Whoever imports a backend to look for it fails the test.
        path.write_text("raise AssertionError('the backend was imported')")
        if path.parent != site:
            (path.parent / "__init__.py").write_text("raise AssertionError('the backend was imported')")
