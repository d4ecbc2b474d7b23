"""What a search does with its time: one command after the other, each recorded when it has ended."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from edgebert.bundle.output import output_error
from edgebert.compress.search.budget import ROUNDS, Budget, Training, minutes, plan_trainings, whole_training
from edgebert.compress.search.commands import Finished, OutOfTime, Runner
from edgebert.compress.search.evidence import Converted, read_evidence
from edgebert.compress.search.folder import Progressed, Record, SearchFolder
from edgebert.compress.search.grid import CHECKPOINT, TRIM, Point, step_cost, trained, trimmed, untrained, whole
from edgebert.compress.search.inputs import Given
from edgebert.compress.search.latency import Trial, bench_arguments, lengths_for, read_trial
from edgebert.compress.search.recipes import bundle_of, converting, making
from edgebert.errors import ConversionError, GateError, OptionError

_PROBE = "probe"
_PROBE_STEPS = 12
_REPORT_SECONDS = 3.0
_HUNG_SECONDS = 600.0
"""A benchmark that takes longer than that has hung."""
_POINT_BYTES, _TRAINING_BYTES = 14, 12 * 2
"""What a parameter takes on the disk in a point (checkpoint, bundle, and what its conversion needs meanwhile), and in
the two checkpoints of a training."""
_SPARE_BYTES = 128 << 20
_FULL = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT))


class Work:
    """One run of a search.

    Args:
        given: what it works on.
        folder: its folder.
        budget: its time.
        run: runs its commands.
        tell: is told a line whenever something begins.
        texts: the file in the folder with texts to measure latency on; ``None`` for the built-in ones.

    Attributes:
        points: the grid, as far as it is known; the checkpoint first.
        left_out: why a point was not tried, by name.
    """

    def __init__(
        self,
        given: Given,
        folder: SearchFolder,
        budget: Budget,
        run: Runner,
        tell: Callable[[str], object],
        texts: str | None,
    ) -> None:
        self.given = given
        self.folder = folder
        self.budget = budget
        self.record: Record = folder.record
        self.points: list[Point] = [whole(given.sizes)]
        self.left_out: dict[str, str] = {}
        self._run = run
        self._tell = tell
        self._texts = texts

    def convert_whole(self) -> None:
        """Converts the checkpoint itself, and times its latency once.

        Raises:
            OptionError: there is no time for that.
            ConversionError: it cannot be converted.
        """
        state = self.record.point(CHECKPOINT)
        try:
            if not state.converted:
                self._tell(f"{CHECKPOINT}: converting")
                # One that is there was made by a run that was killed before it could note how long it took.
                shutil.rmtree(self._bundle(CHECKPOINT), ignore_errors=True)
                done = self._convert(self.points[0], self.budget.left)
                self.record.times["convert"] = state.seconds
                evidence = self.evidence(CHECKPOINT)
                if evidence is None or evidence.best is None:
                    del self.record.points[CHECKPOINT]  # to be tried again, should the folder be kept
                    kind = GateError if done.code == GateError.exit_code else ConversionError
                    raise kind(f"The checkpoint itself cannot be converted: {done.reason}", hint=done.hint)
            if "bench" not in self.record.times and not self.record.unmeasurable:
                self._tell(f"{CHECKPOINT}: timing a benchmark")
                self._time_bench(self.budget.left)
        except OutOfTime:
            raise OptionError(
                f"A budget of {minutes(self.budget.total)} is too short: the checkpoint itself could not be converted "
                "and measured in it.",
                option="budget",
                hint="Give more (--budget): some ten times as much lets a few points be tried.",
            ) from None
        self._save()

    def try_points(self) -> None:
        """Makes and converts what there is time for, the points without training first."""
        first = trimmed(self.given.sizes, self.given.task)
        self._extend(first)
        usable = first and (self.record.point(TRIM).made or not self.record.point(TRIM).failed)
        base = TRIM if usable else CHECKPOINT
        self._extend(untrained(self.given.sizes, base))
        trainings = trained(self.given.sizes, base)
        self.points += trainings
        self._train(trainings)

    def evidence(self, name: str) -> Converted | None:
        """What the conversion of a point says, if there is something."""
        for path in (self.folder.path / bundle_of(name) / "evidence.json", self._evidence_file(name)):
            if path.is_file():
                return read_evidence(path.read_bytes(), self.given.preferred)
        return None

    def best_artifacts(self) -> dict[str, str]:
        """The artifact of each converted point whose latency counts, by name, in the order of the grid."""
        found = {}
        for point in self.points:
            evidence = self.evidence(point.name)
            if evidence is not None and evidence.best is not None and self._bundle(point.name).is_dir():
                found[point.name] = evidence.best.id
        return found

    def run_bench(self, name: str, arguments: Sequence[str]) -> Finished:
        """Runs a benchmark, which has time however little is left."""
        try:
            return self._run(arguments, timeout=_HUNG_SECONDS)
        except OutOfTime:
            return Finished(1, "", f"Error: {name}: no answer within {minutes(_HUNG_SECONDS)}", _HUNG_SECONDS)

    def commands(self, point: Point) -> tuple[list[str], ...]:
        """The arguments of the commands that make and convert a point, those of what it is made of first."""
        chain: list[list[str]] = []
        current = point
        while current.name != CHECKPOINT:
            arguments = self.record.point(current.name).make
            if not arguments:
                return ()
            chain.insert(0, arguments)
            current = next(other for other in self.points if other.name == current.parent)
        return (*chain, converting(point, self.given))

    def _extend(self, points: Sequence[Point]) -> None:
        for point in points:
            self.points.append(point)
            if self._finished(point) or not self._can_begin(point):
                continue
            needed = self._make_seconds() + self._after()
            if needed > self._time():
                self.left_out[point.name] = f"needs about {minutes(needed)}"
                continue
            self._tell(f"{point.name}: {point.title}")
            self._make_and_convert(point, making(point, self.given))

    def _train(self, points: Sequence[Point]) -> None:
        """Trains what fits; what was begun by an earlier run goes on first."""
        for point in points:
            state = self.record.point(point.name)
            if state.make and not self._finished(point):
                if self._time() < self._after():
                    self.left_out[point.name] = "was begun, and there is no time left: go on with a larger budget"
                else:
                    self._tell(f"{point.name}: going on")
                    self._make_and_convert(point, state.make)
        waiting = [point for point in points if not self.record.point(point.name).make and self._can_begin(point)]
        self._probe(waiting)
        while waiting := [point for point in waiting if not self.record.point(point.name).make]:
            steps = self._plan(waiting)
            if not steps:
                break
            point = next(point for point in waiting if point.name in steps)
            state = self.record.point(point.name)
            state.steps = steps[point.name]
            seconds = self._training(point).seconds(state.steps)
            self._tell(
                f"{point.name}: training {state.steps:,} steps, about {minutes(seconds)} with its conversion; "
                f"{minutes(self.budget.left)} left"
            )
            self._make_and_convert(point, making(point, self.given, steps=state.steps))
            self._learn(point, state)
        for point in waiting:
            self.left_out[point.name] = self._needs(point)

    def _can_begin(self, point: Point) -> bool:
        """Whether there is what the point is made of; notes it where there is not."""
        if point.parent == CHECKPOINT or self.record.point(point.parent).made:
            return True
        self.left_out[point.name] = f"no time was left to make {point.parent}, which it begins with"
        return False

    def _needs(self, point: Point) -> str:
        if "step" not in self.record.times:
            return "no time was left to see how long a training step takes"
        steps, least = whole_training(self.record.examples)
        training = self._training(point)
        return (
            f"needs about {minutes(training.seconds(least))} for {least:,} steps, "
            f"{minutes(training.seconds(steps))} for {steps:,}"
        )

    def _plan(self, points: Sequence[Point]) -> dict[str, int]:
        if "step" not in self.record.times:
            return {}
        steps, least = whole_training(self.record.examples)
        return plan_trainings([self._training(point) for point in points], self._time(), whole=steps, least=least)

    def _training(self, point: Point) -> Training:
        # Not below 1: a smaller student saves less than its layers do, and a training that is cut off is lost time.
        scale = max(1.0, step_cost(self.given.sizes, point.sizes) / self.record.step_cost)
        times = self.record.times
        # A recovery comes after what it recovers from.
        before = self._make_seconds() if point.verb == "prune" else 0.0
        return Training(point.name, before + times["fixed"] + self._after(), times["step"] * scale)

    def _probe(self, points: Sequence[Point]) -> None:
        """Times a few steps of the first training that can be begun."""
        if "step" in self.record.times:
            return
        for point in points:
            if self._time() < self._make_seconds() + self._after():
                return
            self._tell(f"{point.name}: timing {_PROBE_STEPS} steps of its training")
            self._remove(_PROBE)
            arguments = making(point, self.given, steps=_PROBE_STEPS, out=_PROBE)
            try:
                done = self._run(arguments, timeout=self._time())
            except OutOfTime:
                self._remove(_PROBE)
                return
            if done.code == 0:
                facts = json.loads((self.folder.path / _PROBE / "distill.json").read_text(encoding="utf-8"))
                self.record.times["step"] = facts["seconds"] / facts["steps"]
                self.record.times["fixed"] = max(0.0, done.seconds - facts["seconds"])
                self.record.step_cost = step_cost(self.given.sizes, point.sizes)
                self.record.examples = facts["data"]["examples"]
                self._remove(_PROBE)
                self._save()
                return
            self._remove(_PROBE)
            self._check_disk(done)
            state = self.record.point(point.name)
            state.make, state.failed = making(point, self.given, steps=_PROBE_STEPS), done.reason
            self._save()

    def _learn(self, point: Point, state: Progressed) -> None:
        """What a training took is a better guide than a few steps."""
        path = self.folder.path / point.name / "distill.json"
        if not path.is_file():
            return
        facts = json.loads(path.read_text(encoding="utf-8"))
        self.record.times["step"] = facts["seconds"] / facts["steps"]
        self.record.step_cost = step_cost(self.given.sizes, point.sizes)
        self._save()

    def _make_and_convert(self, point: Point, arguments: list[str]) -> None:
        state = self.record.point(point.name)
        state.make = arguments
        self._save()
        try:
            if not state.made:
                self._make(point, state)
            if state.made:
                self._tell(f"{point.name}: converting")
                self._convert(point, self._time())
        except OutOfTime:
            self.left_out[point.name] = "was begun, and stopped when the time was over: go on with a larger budget"
        self._save()

    def _make(self, point: Point, state: Progressed) -> None:
        # A checkpoint appears when it is whole: one that is there was made by a run that was killed after it.
        if not (self.folder.path / point.name).is_dir():
            self._check_space(point)
            done = self._run(state.make, timeout=self._time() - (self._after() if point.trains else 0.0))
            state.seconds += done.seconds
            if done.code:
                self._check_disk(done)
                state.failed = done.reason
                return
            if not point.trains:
                self.record.times["make"] = max(self.record.times.get("make", 0.0), done.seconds)
        state.made = True
        self._save()

    def _convert(self, point: Point, timeout: float) -> Finished:
        state = self.record.point(point.name)
        if self._bundle(point.name).is_dir():  # by a run that was killed after it
            state.converted = True
            return Finished(0, "", "", 0.0)
        done = self._run(converting(point, self.given), timeout=timeout)
        state.seconds += done.seconds
        if done.code:
            self._check_disk(done)
            state.failed = done.reason
        if done.out.strip():
            self.folder.write(self._evidence_file(point.name).name, done.out.encode())
        state.converted = True
        return done

    def _time_bench(self, timeout: float) -> None:
        evidence = self.evidence(CHECKPOINT)
        assert evidence is not None and evidence.best is not None
        lengths = lengths_for(self.given.max_length)
        arguments = bench_arguments(bundle_of(CHECKPOINT), evidence.best.id, lengths, self._texts, 0)
        done = self._run(arguments, timeout=timeout)
        trial = read_trial(done)
        if isinstance(trial, Trial):
            self.record.times["bench"] = done.seconds
        else:
            self.record.unmeasurable = trial

    def _finished(self, point: Point) -> bool:
        state = self.record.point(point.name)
        return state.converted or bool(state.failed)

    def _time(self) -> float:
        """Seconds for points: what is left without measuring the latency of those that are converted."""
        rounds = ROUNDS * self.record.times.get("bench", 0.0)
        return self.budget.left - rounds * len(self.best_artifacts()) - _REPORT_SECONDS

    def _make_seconds(self) -> float:
        """What a point without training takes; a conversion, before one was made."""
        return self.record.times.get("make", self.record.times["convert"])

    def _after(self) -> float:
        """What a point takes when it is made: a conversion as long as the checkpoint's, and its share of the rounds."""
        return self.record.times["convert"] + ROUNDS * self.record.times.get("bench", 0.0)

    def _check_space(self, point: Point) -> None:
        each = _POINT_BYTES + (_TRAINING_BYTES if point.trains else 0)
        needed = self.given.parameters * each + _SPARE_BYTES
        if shutil.disk_usage(self.folder.path).free < needed:
            raise output_error(OSError(errno.ENOSPC, _FULL[0]), self.folder.path, needed=needed)

    def _check_disk(self, done: Finished) -> None:
        """A full disk ends the search: every other point would fail of it as well."""
        if any(said in done.err for said in _FULL):
            raise output_error(OSError(errno.ENOSPC, _FULL[0]), self.folder.path)

    def _remove(self, name: str) -> None:
        for folder in (name, f"{name}.partial"):
            shutil.rmtree(self.folder.path / folder, ignore_errors=True)

    def _bundle(self, name: str) -> Path:
        return self.folder.path / bundle_of(name)

    def _evidence_file(self, name: str) -> Path:
        return self.folder.path / f"{name}.evidence.json"

    def _save(self) -> None:
        self.record.spent = self.budget.spent
        self.folder.save()
