"""All hyper-parameters of a training run, defined once for flags, config files, cards and the check on resuming."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from robustfeat.backbones.architecture import Stem
from robustfeat.numerics.eps import Eps, check_eps, usual_eps
from robustfeat.runtime.choices import check_choices

OBJECT = "object "  # how an entry begins whose value was given in Python, and has a digest in the place of a name


STUDENT = "resnet18"
STEM: Stem = "small"


@dataclass(frozen=True)
class Recipe:
    """The data, networks, duration and optimiser of a training run. The options of the objective are kept separately.

    Args:
        data: a name or path that `robustfeat.dataset` understands.
        train: the split to train on.
        held_out: the split that selects the best weights; never the test split.
        image_size: pixels per side, eps being in pixels after scaling; None takes that of `start`, else the size of the data.
        image: the image column, for data with several.
        label: the label column, for data with several.
        label_noise: share of the training labels that are replaced by wrong ones at random, to study teachers that err.
        student: any timm architecture; None takes that of `start`, else resnet18.
        stem: "small" (3x3 stride 1, max-pool kept), "cifar" (no max-pool) or "timm" (unchanged); None takes that of `start`,
            else "small".
        start: a model folder or name whose weights initialise the student; None trains from scratch.
        teacher: a model folder or name; required by objectives that distil.
        head: the linear head of a student whose objective trains none: "teacher" (the teacher's frozen head), "linear" (fitted
            on clean images), "adversarial" (fitted on attacked images), or "best", the one of these with the best held-out
            accuracy, robust accuracy first.
        cache_teacher: compute the teacher's outputs on the clean images once, before training; requires crop, flip and cutout
            to be off.
        norm: the norm that bounds the inner attack.
        eps: the size of the inner attack in pixel units, for example 8/255; None takes 8/255 for linf, 128/255 for l2.
        steps: gradient steps of the inner attack.
        step_size: size of one step in pixel units; None takes min(2.5 / steps, 1.25) x eps.
        eps_warmup: share of the run over which eps grows from 0.
        epochs: passes over the training data; ignored if minutes or max_steps is given.
        max_steps: optimiser steps; overrides epochs.
        minutes: a time budget: the schedule follows the clock, and training time is counted across resumed sessions.
        batch_size: images per optimiser step, over all processes and accumulated parts together.
        accumulate: number of parts into which a batch is divided to save memory.
        optimizer: "sgd" (with Nesterov momentum) or "adamw".
        lr: the largest learning rate.
        momentum: momentum of SGD.
        weight_decay: weight decay, applied to weights but not to biases and normalisation layers.
        schedule: "cosine", "onecycle", "multistep" (a tenth after 1/2 and 3/4 of the run) or "constant".
        warmup: share of the run over which the learning rate grows (onecycle: the rising part).
        clip: largest gradient norm; None does not clip.
        awp: gamma of adversarial weight perturbation, which doubles the passes of training but not those of the attack; 0 turns
            it off.
        awp_warmup: share of the run before adversarial weight perturbation begins.
        ema: decay of the exponential moving average (EMA) of the weights, which is then evaluated and saved; 0 turns it off.
        ema_start: share of the run before averaging begins; until then the EMA equals the current weights.
        crop: pixels of zero padding before a random crop.
        flip: mirror half of the images.
        cutout: side of the square that is blanked out, in pixels; 0 turns it off.
        precision: "no" (float32), "bf16" or "fp16".
        channels_last: memory layout of images and convolutions.
        compile: run the student through torch.compile, in training and in the inner attack.
        seed: seed of all random numbers of the run.
        eval_minutes: minutes between two held-out evaluations; None evaluates every eval_epochs.
        eval_epochs: epochs between two held-out evaluations.
        eval_images: number of held-out images to evaluate on.
        eval_steps: PGD steps in these evaluations.
        checkpoint_minutes: minutes between two checkpoints, the most work that a kill can lose.
        keep: number of checkpoints to keep.
        log_steps: optimiser steps between two log lines.
    """

    data: str = "digits"
    train: str = "train[:90%]"
    held_out: str = "train[90%:]"
    image_size: int | None = None
    image: str | None = None
    label: str | None = None
    label_noise: float = 0.0
    student: str | None = None
    stem: Stem | None = None
    start: str | None = None
    teacher: str | None = None
    head: Literal["best", "teacher", "linear", "adversarial"] = "best"
    cache_teacher: bool = False
    norm: Literal["linf", "l2"] = "linf"
    eps: Eps | None = None
    steps: int = 10
    step_size: Eps | None = None
    eps_warmup: float = 0.0
    epochs: float = 30
    max_steps: int | None = None
    minutes: float | None = None
    batch_size: int = 128
    accumulate: int = 1
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["cosine", "onecycle", "multistep", "constant"] = "onecycle"
    warmup: float = 0.1
    clip: float | None = None
    awp: float = 0.0
    awp_warmup: float = 0.0
    ema: float = 0.0
    ema_start: float = 0.0
    crop: int = 4
    flip: bool = True
    cutout: int = 0
    precision: Literal["no", "bf16", "fp16"] = "no"
    channels_last: bool = True
    compile: bool = False
    seed: int = 0
    eval_minutes: float | None = None
    eval_epochs: float = 5
    eval_images: int = 500
    eval_steps: int = 10
    checkpoint_minutes: float = 5
    keep: int = 2
    log_steps: int = 50

    def __post_init__(self) -> None:
        check_choices(self)
        if self.eps is None:
            object.__setattr__(self, "eps", usual_eps(self.norm))
        for name in ("eps", "step_size"):
            if getattr(self, name) is not None:
                check_eps(self.norm, getattr(self, name), name)
        # Written out once so that a config file, a flag and Python code are checked alike.
        for name in ("epochs", "batch_size", "accumulate", "lr", "eval_epochs", "eval_images", "keep", "log_steps"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be greater than 0, got {getattr(self, name)!r}")
        for name in ("minutes", "max_steps", "eval_minutes", "clip", "image_size"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be greater than 0 or left out, got {value!r}")
        for name in ("steps", "crop", "cutout", "weight_decay", "eval_steps", "checkpoint_minutes", "awp"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)!r}")
        for name in ("eps_warmup", "warmup", "awp_warmup", "ema", "ema_start", "momentum", "label_noise"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)!r}")
        if self.cache_teacher and (self.crop or self.flip or self.cutout):
            raise ValueError(
                f"cache_teacher needs images that are the same in every epoch, and crop {self.crop}, flip {self.flip}, "
                f"cutout {self.cutout} change them; turn these off, or cache_teacher"
            )
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be cut into accumulate = {self.accumulate} equal parts"
            )

    @property
    def objects(self) -> tuple[str, ...]:
        """The entries that were given to `train` as Python objects and not as names."""
        return tuple(name for name in ("data", "start", "teacher") if str(getattr(self, name)).startswith(OBJECT))

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; eps is written as it is printed, so that reading it back gives the same float."""
        return {
            field.name: repr(value) if isinstance(value := getattr(self, field.name), Eps) else value
            for field in dataclasses.fields(self)
        }

    @classmethod
    def completed(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Complete the values of an older version's `as_dict` with the defaults of later entries, which that run used."""
        return cls().as_dict() | values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """Read the values that `as_dict` returns.

        Raises:
            ValueError: for unknown entries and invalid values.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(values.keys() - known):
            raise ValueError(f"the recipe has unknown entries {unknown}; it was written by another version")
        parsed = dict(values)
        for name in ("eps", "step_size"):
            if parsed.get(name) is not None:
                parsed[name] = Eps(parsed[name])
        return cls(**parsed)
