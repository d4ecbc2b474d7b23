"""Which peers there are, and that each can be prepared and served."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.catalogue import PEERS, REFERENCE, choose, peers_of
from harness.environments import REQUIREMENTS

from edgebert.bundle import open_bundle
from edgebert.errors import OptionError
from tests.benchmarks.peers.conftest import PEERS as FOLDER


def test_every_peer_has_its_module_its_environments_and_what_it_needs() -> None:
    names = [peer.name for peer in PEERS]
    assert len(set(names)) == len(names)
    for place, peer in enumerate(PEERS):
        source = (FOLDER / "serving" / f"{peer.module}.py").read_text(encoding="utf-8")
        assert "def serve(" in source and ("def prepare(" in source) == bool(peer.preparing)
        for environment in filter(None, (peer.environment, peer.preparing)):
            assert (REQUIREMENTS / f"{environment}.txt").is_file()
        assert not peer.needs or peer.needs in names[:place]


def test_edgebert_is_measured_by_its_own_choice_and_with_each_int8_artifact(bundle_path: Path) -> None:
    manifest = open_bundle(bundle_path).manifest
    ours = [peer for peer in peers_of(manifest) if peer.module == "edgebert_bundle"]
    int8 = [artifact.id for artifact in manifest.artifacts if artifact.precision == "int8"]
    assert int8 and [peer.variant for peer in ours] == ["", *int8]
    assert ours[0].name == REFERENCE


def test_peers_are_chosen_by_name_in_the_order_of_the_catalogue() -> None:
    first, second = PEERS[0].name, PEERS[1].name
    assert [peer.name for peer in choose(PEERS, f" {second},{first},")] == [first, second]
    assert choose(PEERS, None) == PEERS
    with pytest.raises(OptionError, match="there is no peer nobody") as caught:
        choose(PEERS, f"{first},nobody")
    assert first in caught.value.hint
    with pytest.raises(OptionError, match="names no peer"):
        choose(PEERS, " , ")
