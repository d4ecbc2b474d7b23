"""The reference pages say what the code does, all of it and nothing else."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import edgebert
from edgebert import bench, errors
from edgebert.bundle.schema import ARCHITECTURES
from edgebert.cli.app import cli
from edgebert.convert.target import ACCELERATORS, PRECISIONS, list_targets, load_target
from edgebert.devices import KNOWN_ISA, KNOWN_VENDORS
from edgebert.runtime.build import build_plans
from edgebert.runtime.verify import verify
from tests.examples import pages
from tests.examples.tables import codes, rows, section

REFERENCE = pages.DOCS / "reference"
CLI = (REFERENCE / "cli.md").read_text(encoding="utf-8")
ERRORS = (REFERENCE / "errors.md").read_text(encoding="utf-8")
TARGETS = (REFERENCE / "targets.md").read_text(encoding="utf-8")
API = (REFERENCE / "python-api.md").read_text(encoding="utf-8")
VERBS = cli.list_commands(click.Context(cli))
_HELP = ("-h", "--help")


def helped(verb: str) -> dict[tuple[str, ...], str]:
    """Option names -> the help text, as ``edgebert VERB --help`` prints them."""
    output = CliRunner().invoke(cli, [verb, "--help"], terminal_width=100, prog_name="edgebert").output
    options = output.partition("\nOptions:\n")[2]
    entries = re.split(r"\n(?=  -)", "\n" + options)[1:]
    found = {}
    for entry in entries:
        names, _, text = entry.strip().partition("  ")
        found[tuple(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", names))] = " ".join(text.split())
    found.pop(_HELP)
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of(verb: str) -> None:
    pytest.importorskip("rich", reason="`edgebert convert` shows its progress with rich")
    heading = re.search(rf"^## (`edgebert {verb}\b.*)$", CLI, re.MULTILINE)
    assert heading
    table = {tuple(codes(names)): default for names, default, _ in rows(section(CLI, heading[1]))}
    options = helped(verb)
    assert table.keys() == options.keys()
    for names, text in options.items():
        default = re.search(r"\[default: ([^;\]]+)", text)
        said = table[names].replace("`", "")
        if default is not None:
            # The page may say more, as in "the profile's, or one per physical core".
            assert said.endswith(default[1]), names
        elif "[required]" in text:
            assert said == "required", names


def test_every_exit_code() -> None:
    assert isinstance(cli.epilog, str)
    known = set(re.findall(r"(?<![\w-])\d+(?= )", cli.epilog.partition(":")[2]))
    assert {row[0] for row in rows(section(CLI, "Exit codes"))} == known


def test_every_error() -> None:
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    wanted = {
        kind.__name__: (kind.__bases__[0].__name__, kind.code, str(kind.exit_code))
        for kind in classes
        if issubclass(kind, errors.EdgebertError)
    }
    said = {}
    for name, parent, code, exit_code, _ in rows(ERRORS):
        said[codes(name)[0]] = (codes(parent)[0], codes(code)[0], exit_code)
    assert said == wanted
    others = {kind.__name__ for kind in classes if issubclass(kind, Warning)}
    assert others and all(f"`edgebert.{name}`" in ERRORS for name in others)


def allowed_keys(folder: Path, old: str, new: str) -> set[str]:
    """The keys that the parser allows where an unknown one stands."""
    text = (Path(__file__).parents[2] / "targets/arm64-linux/target.toml").read_text(encoding="utf-8")
    assert old in text
    path = folder / "target.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(errors.TargetError, match="there is no such key") as caught:
        load_target(str(path))
    return set(caught.value.hint.removeprefix("Allowed: ").removesuffix(".").split(", "))


@pytest.mark.parametrize(
    ("heading", "line"),
    [
        ("Top level", 'name = "arm64-linux"'),
        ("`device`", "[device]"),
        ("`artifact`", "[[artifact]]"),
        ("`shapes`", "[shapes]"),
        ("`runtime`", "[runtime]"),
        ("`gate`", "[gate.fp32]"),
    ],
)
def test_every_key_of_a_target(heading: str, line: str, tmp_path: Path) -> None:
    documented = [codes(row[0])[0] for row in rows(section(TARGETS, heading).partition("\nFeatures have")[0])]
    assert set(documented) == allowed_keys(tmp_path, line, f"{line}\nunknown = 1")
    assert len(documented) == len(set(documented))


def test_every_value_of_a_target() -> None:
    quoted = set(re.findall(r'`"([^"]+)"`', TARGETS))
    assert {*ARCHITECTURES, *ACCELERATORS, *PRECISIONS} <= quoted
    assert {precision for several in PRECISIONS.values() for precision in several} <= quoted
    tables = rows(section(TARGETS, "`device`"))
    for known in (KNOWN_ISA, KNOWN_VENDORS):
        for architecture, values in known.items():
            assert any(architecture in codes(row[0]) and set(codes(row[1])) == set(values) for row in tables)


def test_every_installed_target() -> None:
    said = {codes(row[0])[0]: codes(row[2]) for row in rows(section(TARGETS, "Those that come with EdgeBERT"))}
    assert said == {target.name: [spec.id for spec in target.artifacts] for target in list_targets()}


def functions() -> Iterator[tuple[str, Callable[..., object]]]:
    yield "`edgebert.load`", edgebert.load
    yield "`edgebert.runtime.build.build_plans`", build_plans
    yield "`edgebert.runtime.verify.verify`", verify
    yield "`edgebert.bench.run_benchmark`", bench.run_benchmark


def check_parameters(heading: str, function: Callable[..., object]) -> None:
    said = {codes(row[0])[0]: row[1].replace("`", "") for row in rows(section(API, heading))}
    wanted = {}
    for parameter in inspect.signature(function).parameters.values():
        given = parameter.default is not parameter.empty
        wanted[parameter.name] = repr(parameter.default).replace("'", '"') if given else ""
    assert said == wanted


@pytest.mark.parametrize(("heading", "function"), list(functions()))
def test_every_parameter_of(heading: str, function: Callable[..., object]) -> None:
    check_parameters(heading, function)


def test_every_parameter_of_convert() -> None:
    pytest.importorskip("torch", reason="the converter needs torch")
    from edgebert.convert.pipeline import convert

    check_parameters("`edgebert.convert.pipeline.convert`", convert)


def test_every_public_name() -> None:
    for name in edgebert.__all__:
        assert re.search(rf"\b{name}\b", API + ERRORS), name


def test_every_member_of_a_model() -> None:
    said = {
        re.sub(r"^model\.?|\(.*", "", codes(row[0])[0]) for row in rows(section(API, "`Model`")) if "model" in row[0]
    }
    wanted = {name for name in vars(edgebert.Model) if not name.startswith("_")}
    assert said - {""} == wanted


def test_every_field_of_an_explanation() -> None:
    said = [codes(row[0])[0] for row in rows(section(API, "`Explanation`"))]
    assert said == list(inspect.signature(edgebert.Explanation).parameters)
