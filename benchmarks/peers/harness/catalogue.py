"""Which peers there are, and what each needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgebert.bundle import Manifest
from edgebert.errors import OptionError

REFERENCE = "edgebert"
"""The peer that ratios are taken to: the bundle, with the artifact that ``edgebert.load`` chooses."""

FRAMEWORK, SCRIPT, OURS = "framework", "script", "edgebert"


@dataclass(frozen=True, slots=True)
class Peer:
    """Something that classifies texts.

    Attributes:
        name: as the results call it.
        kind: ``"framework"``, ``"script"`` or ``"edgebert"``.
        module: the module of ``serving`` that prepares and serves it.
        variant: what the module is told; for EdgeBERT the id of an artifact, or empty for its own choice.
        environment: stem of the requirements file of the process that serves.
        preparing: that of the process that makes the files; empty where the checkpoint or the bundle serves as it is.
        needs: the peer whose files this one is made of, or empty.
        batch_sizes: what its bulk mode offers; the fastest one on this machine is measured.
    """

    name: str
    kind: str
    module: str
    variant: str
    environment: str
    preparing: str = ""
    needs: str = ""
    batch_sizes: tuple[int, ...] = (8,)


_FRAMEWORK_BATCHES = (1, 8, 32)

PEERS = (
    Peer("transformers", FRAMEWORK, "transformers_pipeline", "fp32", "transformers", "", "", _FRAMEWORK_BATCHES),
    *(
        Peer(f"{name}-{variant}", FRAMEWORK, module, variant, name, name, needs, _FRAMEWORK_BATCHES)
        for name, module in (("optimum-onnx", "optimum_onnx"), ("optimum-intel", "optimum_intel"))
        for variant, needs in (("fp32", ""), ("int8", f"{name}-fp32"))
    ),
    Peer("script-ort-fp32", SCRIPT, "script_ort", "fp32", "onnxruntime", "export"),
    Peer("script-ort-int8", SCRIPT, "script_ort", "int8", "onnxruntime", "export", "script-ort-fp32"),
    Peer("script-ort-matmulnbits", SCRIPT, "script_ort", "matmulnbits", "onnxruntime", "export", "script-ort-fp32"),
    Peer("script-openvino-fp32", SCRIPT, "script_openvino", "fp32", "openvino", "export"),
    Peer("script-openvino-int8", SCRIPT, "script_openvino", "int8", "openvino", "export", "script-openvino-fp32"),
    Peer("script-litert-fp32", SCRIPT, "script_litert", "fp32", "litert", "export"),
    Peer("script-litert-int8", SCRIPT, "script_litert", "int8", "litert", "export", "script-litert-fp32"),
)
"""All but EdgeBERT's, which depend on the bundle."""


def peers_of(manifest: Manifest) -> tuple[Peer, ...]:
    """EdgeBERT as it chooses by itself, each int8 artifact of the bundle, and then everyone else."""
    module, environment = "edgebert_bundle", "edgebert"
    ours = [Peer(REFERENCE, OURS, module, "", environment)]
    ours += [
        Peer(f"{REFERENCE}-{artifact.id}", OURS, module, artifact.id, environment)
        for artifact in manifest.artifacts
        if artifact.precision == "int8" and artifact.requires.accelerator is None
    ]
    return (*ours, *PEERS)


def choose(peers: Sequence[Peer], names: str | None) -> tuple[Peer, ...]:
    """The peers that a comma-separated list names, in the order of the catalogue; all of them for ``None``.

    Raises:
        OptionError: a name is unknown, or the list is empty.
    """
    if names is None:
        return tuple(peers)
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    known = {peer.name for peer in peers}
    hint = f"The peers are: {', '.join(peer.name for peer in peers)}."
    if not wanted:
        raise OptionError("--peers names no peer.", option="peers", hint=hint)
    if unknown := sorted(wanted - known):
        raise OptionError(f"--peers: there is no peer {', '.join(unknown)}.", option="peers", hint=hint)
    return tuple(peer for peer in peers if peer.name in wanted)
