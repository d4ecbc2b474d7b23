"""``INSTALL.txt``: what to type on the device."""

from __future__ import annotations

from collections.abc import Sequence

from packaging.requirements import Requirement

from edgebert.convert.target import Target
from edgebert.convert.wheelhouse.platforms import version
from edgebert.devices.wheels import PythonHost

_TEXT = """\
{title}
For {devices}.

1. Copy this folder to the device. Below it is called {name}, and the commands run in the folder that it lies in.

2. Look whether the device is meant: the first says the architecture, the second the version of Python.

    uname -m
    python3 --version

3. Install, without network. The hashes in requirements.txt are checked.

    python3 -m venv {system}edgebert-env
    edgebert-env/bin/python -m pip install --no-index --no-deps --find-links {name} -r {name}/requirements.txt

   If venv is missing: sudo apt install python3-venv. {without_venv}
{tensorrt}{by_name}
4. Look at the result, with a bundle that `edgebert convert` made and you copied as well.

    edgebert-env/bin/edgebert doctor
{build}    edgebert-env/bin/edgebert verify sst2.edgebert
    edgebert-env/bin/edgebert predict sst2.edgebert "A charming journey."

To save space, add --no-compile to the line with pip, and set PYTHONDONTWRITEBYTECODE=1 where EdgeBERT runs: no
bytecode is written then, and every start takes longer.
"""

_TENSORRT = """
   TensorRT belongs to the device's system (JetPack) and is not in this folder: --system-site-packages lets the
   environment see it. The plan is built on the device, once, by the user who runs it; that takes minutes.
"""

_BUILD = """\
    edgebert-env/bin/edgebert build-plan sst2.edgebert
"""

_UNPACK = """\
On a device without network unpack the wheels instead, and
   use PYTHONPATH=edgebert-site python3 -m edgebert in place of edgebert-env/bin/edgebert below.

    for wheel in {name}/*.whl; do python3 -m zipfile -e "$wheel" edgebert-site; done\
"""

_UNPACK_ONE = """\
For a device without network make a wheelhouse for
   its Python alone: this page then tells how to do without venv.\
"""

_BY_NAME = """
   Or by name, into an environment that has other things too:

    edgebert-env/bin/python -m pip install --no-index --find-links {name} {wanted}
"""

_LEAN = """
   This wheelhouse is lean: --no-deps is needed, for it holds what EdgeBERT loads and leaves out what these packages
   ask for and EdgeBERT never loads. `pip check` will name what was left out.
"""


def instructions(
    target: Target, name: str, edgebert: str, hosts: Sequence[PythonHost], wanted: Sequence[Requirement], *, lean: bool
) -> str:
    """The text.

    Args:
        target: the target.
        name: the wheelhouse's own.
        edgebert: the version of EdgeBERT's wheel in it.
        hosts: the devices.
        wanted: what a device asks for, EdgeBERT first.
        lean: whether wheels that EdgeBERT never loads were left out.
    """
    pythons = list(dict.fromkeys(version(host) for host in hosts))
    machines = " and ".join(dict.fromkeys(host.architecture for host in hosts))
    # EdgeBERT comes by itself, where no extra asks for it.
    asked = [one for one in wanted if one.name != "edgebert" or one.extras] or list(wanted)
    if all(one.name != "edgebert" for one in asked):
        asked.insert(0, wanted[0])
    quoted = " ".join(f'"{one}"' if str(one) != one.name else str(one) for one in asked)
    plans = any(spec.backend == "tensorrt" for spec in target.artifacts)
    return _TEXT.format(
        title=f"EdgeBERT {edgebert} for {target.name}",
        devices=f"Python {' and '.join(pythons)} on {machines}, a Linux with {hosts[0].libc}",
        name=name,
        without_venv=_UNPACK.format(name=name) if len(hosts) == 1 else _UNPACK_ONE,
        system="--system-site-packages " if plans else "",
        tensorrt=_TENSORRT if plans else "",
        build=_BUILD if plans else "",
        by_name=_LEAN if lean else _BY_NAME.format(name=name, wanted=quoted),
    )
