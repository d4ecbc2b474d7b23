from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from edgebert.devices import version_at_least

_number = st.integers(0, 12).map(str)
_release = st.lists(_number, min_size=1, max_size=4).map(".".join)
_pre = st.one_of(
    st.just(""), st.builds("{}{}{}".format, st.sampled_from(["", ".", "-"]), st.sampled_from(["a", "b", "rc"]), _number)
)
_post = st.one_of(st.just(""), _number.map(".post{}".format), _number.map("-{}".format))
_dev = st.one_of(st.just(""), _number.map(".dev{}".format))
_local = st.one_of(st.just(""), st.just("+cu12"), st.just("+ubuntu.1"))
_epoch = st.one_of(st.just(""), st.just("1!"))
_versions = st.builds("{}{}{}{}{}{}".format, _epoch, _release, _pre, _post, _dev, _local)


@settings(max_examples=500)
@given(_versions, _versions)
def test_agrees_with_packaging(version, minimum):
    public = Version(Version(version).public), Version(Version(minimum).public)
    assert version_at_least(version, minimum) is (public[0] >= public[1])


@settings(max_examples=200)
@given(_versions)
def test_every_version_is_at_least_itself(version):
    assert version_at_least(version, version)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_gives_an_answer(version, minimum):
    assert version_at_least(version, minimum) in (True, False)


@pytest.mark.parametrize("text", ["", "unknown", "1..2", "1.2 rc", "1.2-releases/2026/4", "v", "1.0+", "٣.١"])
def test_what_is_no_version_satisfies_nothing(text):
    assert not version_at_least(text, "0")
    assert not version_at_least("1.0", text)


@pytest.mark.parametrize(
    ("version", "minimum", "expected"),
    [
        ("1.22", "1.22.0", True),
        ("1.9", "1.22", False),
        ("1.22.0rc1", "1.22", False),
        ("2026.5.0.dev20261001", "2026.4.1", True),
        ("10.7.0.post1", "10.7", True),
        ("1.31.1+cu12", "1.31.1", True),
    ],
)
def test_examples(version, minimum, expected):
    assert version_at_least(version, minimum) is expected
