"""`train`: the one training loop for all objectives, based on Accelerate."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.tracking import GeneralTracker

from robustfeat.backbones.modes import evaluating
from robustfeat.data import ImageDataset
from robustfeat.features.recipe import Recipe
from robustfeat.numerics.checks import Pending, refuse
from robustfeat.numerics.types import Batch, Losses
from robustfeat.objectives import OBJECTIVES, Objective
from robustfeat.runtime.errors import DivergedError, InterruptedTraining
from robustfeat.runtime.parallel import largest_over_processes, rank
from robustfeat.runtime.progress import Progress, duration
from robustfeat.training import checkpoint
from robustfeat.training.awp import perturbed
from robustfeat.training.best_weights import Best
from robustfeat.training.distiller import Made
from robustfeat.training.interrupts import Interrupts
from robustfeat.training.journal import Journal
from robustfeat.training.objects import Model, Objects
from robustfeat.training.run import Run
from robustfeat.training.schedule import SCHEDULES, strength

log = logging.getLogger(__name__)


def train(
    objective: Objective | str,
    recipe: Recipe,
    out: str | os.PathLike[str],
    *,
    data: ImageDataset | None = None,
    student: Model | None = None,
    teacher: Model | None = None,
    resume: bool = False,
    log_with: str | GeneralTracker | None = None,
    quiet: bool = False,
    announce: Callable[[Run], object] | None = None,
) -> Path:
    """Train a student and return the folder of its best weights, which `robustfeat.load` reads.

    With each log line, and before anything is evaluated or saved, losses and weights are checked for finite values; a check at
    every step would make the host wait. Recipe and card record objects by name and digest.

    Args:
        objective: a method with its options, for example GACD(tau=0.2), or a name for its defaults.
        recipe: the hyper-parameters of the run.
        out: the folder for best/ (best held-out robust accuracy), last/ (final model), checkpoints/ and log.jsonl.
        data: all images as an object that replaces the recipe's data; train and held_out are parts of it.
        student: a network or extractor, which is copied, with the initial weights and the architecture; it replaces start.
        teacher: a network or extractor, which is copied, that replaces the recipe's teacher.
        resume: continue from the latest valid checkpoint in `out`, if any; epochs, max_steps and minutes, and so the schedule,
            may change. On a CPU, a resumed run that counts in epochs or steps is bit-identical to an uninterrupted one.
        log_with: an Accelerate tracker, or the name of one such as "tensorboard".
        quiet: whether to hide the progress bar.
        announce: is called with the run before its first step, in every process.

    Raises:
        ValueError: for settings and objects that do not fit together.
        TypeError: for objects of an unsupported type.
        FileExistsError: if `out` contains a run and resume is False.
        DivergedError: if a loss or weight is not finite.
        InterruptedTraining: after saving on Ctrl-C; it is a KeyboardInterrupt.
    """
    out = Path(out)
    given = Objects(data, student, teacher)
    if isinstance(objective, str):
        objective = OBJECTIVES[objective]()
    if not resume and (out / "checkpoints").exists():
        raise FileExistsError(f"{str(out)!r} holds a run already; resume it, or choose another folder")
    # An earlier run of this process may have used another precision.
    AcceleratorState._reset_state(reset_partial_state=False)
    accelerator = Accelerator(mixed_precision=recipe.precision, log_with=log_with, project_dir=str(out))
    devices = [accelerator.device] if accelerator.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        # Dropout and the like draw from the global generator; the caller gets his own back.
        seed = recipe.seed * 1000 + accelerator.process_index
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed(seed)
        run = Run(objective, recipe, accelerator, given, quiet=quiet)  # Ctrl-C: nothing to save yet
        if announce is not None:
            announce(run)
        with Interrupts(quiet=quiet) as interrupts:
            return Loop(run, out, interrupts, quiet=quiet).go(resume, log_with)


class Loop:
    """Steps, log lines, held-out evaluations and checkpoints of one run."""

    def __init__(self, run: Run, out: Path, interrupts: Interrupts, *, quiet: bool) -> None:
        self.run, self.out, self.interrupts = run, out, interrupts
        self.recipe, self.accelerator = run.recipe, run.accelerator
        self.journal = Journal(out / "log.jsonl", run.accelerator)
        self.checks = Pending()
        self.bar = Progress(f"train {run.objective.name}", 100, "%", quiet=quiet or not run.accelerator.is_main_process)
        steps = self.recipe.epochs * run.loader.steps_per_epoch
        self.total = self.recipe.max_steps or max(1, round(steps))
        self.eval_every = max(1, round(self.recipe.eval_epochs * run.loader.steps_per_epoch))
        self.best = Best(run, out, self.journal, self.bar)

    def go(self, resume: bool, log_with: str | GeneralTracker | None) -> Path:
        """Train from the first or the resumed step to the end."""
        folder = self.out / "checkpoints"
        if resume:
            self._resume(folder)
        self.journal.rewind(self.run.step)
        if log_with:
            config = {k: v for k, v in self.recipe.as_dict().items() if isinstance(v, int | float | str | bool)}
            self.accelerator.init_trackers("robustfeat", config=config)
        self.begin = time.monotonic() - self.run.seconds
        self.last_save = self.last_eval = time.monotonic()
        self.bar.begin_at(100 * self.progress())
        with self.bar:
            for parts in self.run.loader.steps(self.run.step):
                if self.progress() >= 1:
                    break
                begin = time.monotonic()
                self._step(parts)
                self.run.stepping += time.monotonic() - begin
                if self._eval_due():
                    self._measure()
                save, stop, seconds = largest_over_processes(
                    float(time.monotonic() - self.last_save > 60 * self.recipe.checkpoint_minutes),
                    float(self.interrupts.pending),
                    time.monotonic() - self.begin,
                )
                self.run.seconds = seconds
                # At the last step the checkpoint waits for the measurement.
                if stop or (save and self.progress() < 1):
                    self._save(folder)
                if stop:
                    raise InterruptedTraining(
                        f"interrupted at step {self.run.step}, saved; go on with --resume (a bench: with the same command)"
                    )
            if self.best.measured_at != self.run.step:
                self._measure()
            self.best.choose_head()
            self._save(folder)
            self.best.finish(self._minutes())
        self.accelerator.end_training()
        return self.out / "best"

    def progress(self) -> float:
        """Return the completed share of the run, by the clock or by steps."""
        if self.recipe.minutes:
            return min(1.0, self.run.seconds / (60 * self.recipe.minutes))
        return min(1.0, self.run.step / self.total)

    def _resume(self, folder: Path) -> None:
        path, problems = checkpoint.latest(folder)
        for problem in problems:
            log.warning("passed over: %s", problem)
        if path is None:
            self.bar.say(f"no checkpoint in {str(folder)!r}, starting from the beginning")
            return
        self.run.restore(path)
        self.bar.say(f"resumed at step {self.run.step} after {duration(self.run.seconds)} of training")

    def _step(self, parts: list[Batch]) -> None:
        """Take one optimiser step over the parts of a batch."""
        run, recipe = self.run, self.recipe
        progress = self.progress()
        # The first step of a warm-up is not taken with rate 0.
        position = max(progress, 1e-3)
        lr = recipe.lr * SCHEDULES[recipe.schedule](position, recipe.warmup)
        for group in run.optimizer.param_groups:
            group["lr"] = lr
        share = strength(position, recipe.eps_warmup)
        made = self._gradient(parts, share, [None] * len(parts))
        if recipe.awp and progress >= recipe.awp_warmup:
            # The same images once more. Only the gradient is kept of this pass: objectives remember that of the true weights.
            with perturbed(run.student, recipe.awp), evaluating(run.objective):
                run.optimizer.zero_grad(set_to_none=True)
                self._gradient(parts, share, made)
        if recipe.clip is not None:
            self.accelerator.clip_grad_norm_(run.distiller.parameters(), recipe.clip)
        run.optimizer.step()
        run.optimizer.zero_grad(set_to_none=True)
        run.objective.after_step()
        if run.average is not None:
            run.average.update(run.student, begun=progress >= recipe.ema_start)
        run.step += 1
        if run.step % recipe.log_steps == 0:
            self._look()
            epoch = run.step / run.loader.steps_per_epoch
            seconds = time.monotonic() - self.begin
            self.journal.step(run.step, epoch, lr, progress, seconds, self.bar)

    def _gradient(self, parts: list[Batch], share: float, made: Sequence[Made | None]) -> list[Made | None]:
        """Accumulate the gradient of all parts; `made` and the result hold the attacked images of each part."""
        run = self.run
        found: list[Made | None] = []
        for i, batch in enumerate(parts):
            key = (self.recipe.seed, run.step, rank(), i)
            last = i == len(parts) - 1
            with self.checks.gathering(), self.accelerator.no_sync(run.distiller) if not last else nullcontext():
                losses: Losses = run.distiller(batch, key, share, made[i])
                found.append(self.accelerator.unwrap_model(run.distiller).made)
                for name, value in losses.terms.items():
                    value = value.detach()
                    refuse(~torch.isfinite(value), partial(DivergedError.of, name, value, run.step))
                if made[i] is None:
                    self.journal.add(losses, run.loader.batch_size // len(parts))
                total = torch.stack(list(losses.terms.values())).sum()
                self.accelerator.backward(total / len(parts))
        return found

    def _look(self) -> None:
        """Raise the first error since the last check, in all processes alike: a loss or a weight that is not finite."""
        with self.checks.gathering():
            for network in filter(None, (self.run.student, self.run.average)):
                for name, tensor in network.state_dict().items():
                    refuse(~torch.isfinite(tensor).all(), partial(DivergedError.of, name, torch.nan, self.run.step - 1))
        error = self.checks.first()
        if largest_over_processes(float(error is not None))[0]:
            raise error or DivergedError("a loss of another process is not finite; it says which")

    def _eval_due(self) -> bool:
        if self.recipe.eval_minutes is None:
            return self.run.step % self.eval_every == 0
        due = time.monotonic() - self.last_eval > 60 * self.recipe.eval_minutes
        return bool(largest_over_processes(float(due))[0])

    def _measure(self) -> None:
        self._look()
        self.best.measure(self._minutes())
        self.last_eval = time.monotonic()

    def _minutes(self) -> float:
        """Return the training time over all sessions."""
        return (time.monotonic() - self.begin) / 60

    def _save(self, folder: Path) -> None:
        self._look()
        self.run.save(folder)
        self.last_save = time.monotonic()
