"""``edgebert build-plan``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgebert.cli import options
from edgebert.cli.verify_command import EXIT_FAILED

if TYPE_CHECKING:
    from edgebert.runtime.build import ReadyPlan


@click.command("build-plan")
@click.argument("bundle", type=options.PATH)
@click.option(
    "--artifact",
    "artifacts",
    metavar="ID",
    multiple=True,
    help="Build this artifact; may be given several times.  [default: the best TensorRT one]",
)
@click.option("--force", is_flag=True, help="Build it also when the plan is there.")
@click.option("--prune", is_flag=True, help="Remove plans of the artifact that this device cannot use any more.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@options.as_json
def command(bundle: Path, artifacts: tuple[str, ...], *, force: bool, prune: bool, quiet: bool, as_json: bool) -> None:
    """Build the TensorRT plan of BUNDLE on this device, and test it with every golden answer.

    It takes minutes, once: the plan is kept for you (docs/explanation/tensorrt-plans.md) and used from then on. The
    exit code is 4 when the plan answers wrongly, and 1 when none can be built.
    """
    from edgebert.cli.build_progress import build_progress
    from edgebert.errors import SelfTestError
    from edgebert.runtime.build import build_plans

    ready: list[ReadyPlan] = []
    try:
        with build_progress(hidden=quiet) as shown:
            for result in build_plans(
                bundle, artifacts=artifacts, force=force, prune=prune, progress=shown.step if shown else None
            ):
                ready.append(result)
    except SelfTestError as error:
        click.echo(f"Error: {error.message} The plan has been removed.\nHint: {_WRONG_HINT}", err=True)
        raise click.exceptions.Exit(EXIT_FAILED) from error
    if as_json:
        click.echo(json.dumps([_as_json(result) for result in ready], indent=1))
        return
    for result in ready:
        click.echo("\n".join(_lines(result)))


_WRONG_HINT = (
    "Build another precision with --artifact; the bundle's ONNX artifacts run meanwhile. Report it with the versions "
    "that `edgebert doctor --json` prints."
)


def _as_json(result: ReadyPlan) -> dict[str, object]:
    return {
        "artifact": result.artifact,
        "built": not result.plan.was_there,
        "seconds": round(result.plan.seconds, 3),
        "bytes": result.plan.size,
        "timings": result.plan.timings,
        "folder": result.folder,
        "key": json.loads(result.plan.key.to_json()),
        "self_test": dataclasses.asdict(result.self_test),
        "unused": [str(refusal) for refusal in result.unused],
        "removed": [str(refusal) for refusal in result.removed],
    }


def _lines(result: ReadyPlan) -> list[str]:
    plan, key, test = result.plan, result.plan.key, result.self_test
    capability = ".".join(map(str, key.compute_capability))
    device = f"{key.gpu} (compute capability {capability}), TensorRT {key.tensorrt}, CUDA {key.cuda_runtime}"
    if plan.was_there:
        done = "the plan is there already"
    else:
        timings = ", with timings of an earlier build" if plan.timings else ""
        done = f"built in {plan.seconds:.0f} s{timings}"
    lines = [
        f"{result.artifact}: {done}: {plan.size / 1e6:.1f} MB for {device}, in {result.folder}",
        f"{result.artifact}: self-test passed: {test.runs} runs at {', '.join(map(str, test.lengths))} tokens, "
        f"max |difference| {test.max_abs_diff:.2g} (tolerance {test.tolerance:.2g})",
    ]
    lines += [f"not used: {refusal}" for refusal in result.unused]
    if any(refusal.fault.value != "foreign" for refusal in result.unused):
        lines.append("`--prune` removes what is stale.")
    lines += [f"removed: {refusal}" for refusal in result.removed]
    return lines
