"""The bundle format ``edgebert/1``: manifest, reader, writer and golden data.

``docs/bundle-format.md`` is the normative text. This package needs the standard library and numpy only.
"""

from edgebert.bundle.golden import Golden, dump_golden, load_golden
from edgebert.bundle.manifest import dump_manifest, parse_manifest
from edgebert.bundle.output import output_error
from edgebert.bundle.reader import Bundle, open_bundle
from edgebert.bundle.schema import (
    FORMAT,
    MANIFEST_NAME,
    Artifact,
    Cascade,
    CascadeHeadline,
    FileRef,
    Headline,
    Manifest,
    Profile,
    Provenance,
    Requires,
    Shapes,
    Task,
    TensorSpec,
    Tokenizer,
)
from edgebert.bundle.writer import BundleWriter

__all__ = [
    "FORMAT",
    "MANIFEST_NAME",
    "Artifact",
    "Bundle",
    "BundleWriter",
    "Cascade",
    "CascadeHeadline",
    "FileRef",
    "Golden",
    "Headline",
    "Manifest",
    "Profile",
    "Provenance",
    "Requires",
    "Shapes",
    "Task",
    "TensorSpec",
    "Tokenizer",
    "dump_golden",
    "dump_manifest",
    "load_golden",
    "open_bundle",
    "output_error",
    "parse_manifest",
]
