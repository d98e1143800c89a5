"""FGSM-PGI, Jia et al. 2022 (ECCV, arXiv 2207.08859): the single step starts from the image's previous perturbation."""

from __future__ import annotations

import torch
from torch import Tensor

from robustfeat.attacks import Threat
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.types import Images, InnerAttack, Labels, Loss, Losses
from robustfeat.objectives import OBJECTIVES
from robustfeat.objectives.adversarial import AdversarialTraining
from robustfeat.objectives.base import Spaces
from robustfeat.objectives.ranges import not_negative
from robustfeat.objectives.sign_step import SignStep
from robustfeat.objectives.views import Views
from robustfeat.runtime.parallel import gather

FULL = 127  # the whole number that means eps


class GuidedSignStep(SignStep):
    """One step of eps from x + eps prior / 127, projected onto the ball.

    Args:
        threat: the threat model, with norm linf.
        name: the name of the objective, for error messages.
        prior: (n, 3, h, w), integers from -127 to 127.
    """

    def __init__(self, threat: Threat, name: str, prior: Tensor) -> None:
        super().__init__(threat, name)
        self.prior = prior

    def begin(self, images: Images, generator: torch.Generator | None) -> Images:
        return (images + self.threat.eps / FULL * self.prior.to(images)).clamp(0, 1)

    def perturbation(self, attacked: Images, images: Images) -> Tensor:
        """Return x' - x in the units of the prior, rounded."""
        return ((attacked - images) * (FULL / self.threat.eps)).round().to(torch.int8).contiguous()


@OBJECTIVES.register("fgsm-pgi")
class FGSMPGI(AdversarialTraining):
    """Single steps from the image's last perturbation (FGSM-EP in the paper); `steps` and `step_size` are not used.

        L = CE(S(x'), y) + consistency mean over classes of (S(x') - S(x0))^2
        x0 = x + d,  x' = x + d',  d' = d + eps sign(gradient of CE at x0), kept in the ball and in [0, 1]

    d is the d' of the epoch before, initially +eps or -eps at random; gradients flow through both S(x') and S(x0).

    Memory: d is stored for every training image, as one signed byte per number in units of eps / 127, so that it grows with eps
    in a warm-up: 154 MB for CIFAR-10, on the device and in each checkpoint. The method is suitable for small images only. Crop
    and flip move the image but not its d, which keeps its position in the network's input, as in the authors' code: with them
    the start is a perturbation that fooled the network on a shifted or mirrored copy. Without them it is that of the same
    image.

    In the authors' code the gradient is that of the smoothed loss from a student in training mode, here it is that of CE in
    eval mode, which costs another pass for x0. Their code draws d again every 40 epochs and, in its main variant (FGSM-MEP),
    moves the stored d along gradients accumulated over all epochs; neither is implemented here.

    Args:
        label_smoothing: share of each label that is spread over all classes, in training only; the authors' 0.4 on the wrong
            classes together is 0.44 here with ten classes.
        consistency: weight of the squared change of the logits from start to end; the authors use 10.
    """

    prior: Tensor

    def __init__(self, label_smoothing: float = 0.0, consistency: float = 10.0) -> None:
        super().__init__(label_smoothing)
        not_negative(consistency=consistency)
        self.consistency = consistency
        self._seen: list[tuple[Labels, Tensor]] = []
        self._rows = torch.empty(0, dtype=torch.long)

    def setup(self, spaces: Spaces, generator: torch.Generator) -> None:
        self._seen.clear()  # of an earlier run with this object
        if spaces.image_size is None:
            raise ValueError(
                f"{self.name} keeps a perturbation of every training image; Spaces has to say their image_size"
            )
        shape = (spaces.samples, 3, spaces.image_size, spaces.image_size)
        signs = torch.randint(0, 2, shape, generator=generator, dtype=torch.int8)
        self.register_buffer("prior", signs.mul_(2).sub_(1).mul_(FULL))

    def inner(self, views: Views) -> Loss | None:
        self._rows = views.rows
        return super().inner(views)

    def attack(self, threat: Threat, steps: int, step_size: Eps | None) -> InnerAttack:
        """Return the step for the rows of the views in the last call of `inner`."""
        return GuidedSignStep(threat, self.name, self.prior[self._rows])

    def forward(self, views: Views) -> Losses:
        terms, notes = super().forward(views)
        change = views.student_attacked.logits - views.student_start.logits
        terms["consistency"] = self.consistency * change.square().mean()
        if self.training and isinstance(views.attack, GuidedSignStep):
            self._seen.append((views.rows, views.attack.perturbation(views.attacked, views.clean)))
        return Losses(terms, notes)

    def after_step(self) -> None:
        """Store the perturbations of all processes, in rank order, so that all processes have the same."""
        for rows, perturbation in self._seen:
            self.prior[gather(rows)] = gather(perturbation)
        self._seen.clear()
