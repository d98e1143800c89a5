"""Heads for a network that was trained without one: what each kind is, and which is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from cues import THREAT, cues, two_cues
from torch import Tensor, nn

from robustfeat.extractor import FeatureExtractor
from robustfeat.heads import Heads
from robustfeat.heldout import Accuracy
from robustfeat.logistic import Linear
from robustfeat.objectives import GACD, Spaces, TeacherHead
from robustfeat.random import generator


def heads(**changed: Any) -> Heads:
    options: dict[str, Any] = {
        "wanted": "best",
        "trained": False,
        "robust": True,
        "teacher": None,
        "data": two_cues(2000, 0),
        "held_out": two_cues(100, 1),
        "threat": THREAT,
        "eval_steps": 5,
        "batch_size": 50,
        "seed": 0,
        "quiet": True,
    }
    return Heads(**(options | changed))


def test_held_out_images_choose_the_head(linear_extractor: Callable[[Tensor], FeatureExtractor]) -> None:
    """A clean head leans on a pattern that the attack turns round; clean accuracy alone would choose it."""
    network = linear_extractor(cues()).network
    found = heads().choose(network)
    assert list(found) == ["adversarial", "linear"]
    assert found["adversarial"].robust > 0.5 > 0.1 > found["linear"].robust
    assert found["linear"].clean == 1 > found["adversarial"].clean
    assert heads().measure(network) == found["adversarial"], "the network keeps the head that was chosen"
    assert list(heads(robust=False).choose(network)) == ["linear"], "an adversarial head is for robust networks"


def test_which_heads_are_compared() -> None:
    sides = nn.Identity(), nn.utils.skip_init(nn.Linear, 2, 2)
    exact, mapped = (TeacherHead(Linear(torch.eye(2), torch.zeros(2)), side) for side in sides)
    assert heads().kinds == ("linear", "adversarial")
    assert heads(robust=False).kinds == ("linear",)
    assert heads(teacher=exact).kinds == ("teacher", "linear")
    assert heads(teacher=mapped).kinds == ("teacher", "linear", "adversarial")
    assert heads(trained=True).kinds == ("trained",)
    assert heads(trained=True, wanted="linear").kinds == ("linear",)
    assert heads(wanted="adversarial").meanwhile == "linear", "no minutes are spent at each measurement"
    assert heads(trained=True, wanted="adversarial").meanwhile == "trained"
    with pytest.raises(ValueError, match="head='teacher' needs an objective that draws features to the teacher's"):
        heads(wanted="teacher")


@pytest.mark.parametrize(("robust", "first"), [(True, "teacher"), (False, "linear")])
def test_robust_accuracy_comes_first_where_the_network_is_robust(
    robust: bool, first: str, linear_extractor: Callable[[Tensor], FeatureExtractor], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = iter([Accuracy(clean=0.9, robust=0.2), Accuracy(clean=0.95, robust=0.1)])  # teacher, linear
    monkeypatch.setattr(Heads, "measure", lambda self, network: next(measured))
    network = linear_extractor(cues()).network
    theirs = Linear(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([5.0, 6.0]))
    found = heads(robust=robust, teacher=TeacherHead(theirs, nn.Identity())).choose(network)
    assert next(iter(found)) == first
    assert torch.equal(network.head.weight, theirs.weight) == (first == "teacher")


def test_a_teachers_head_through_a_map_says_what_the_teacher_says_of_mapped_features() -> None:
    random = generator(0)
    features = torch.randn(20, 6, generator=random)
    head = Linear(torch.randn(3, 4, generator=random), torch.randn(3, generator=random))
    assert TeacherHead(head, nn.Identity()).on(lambda: pytest.fail("not needed")) is head
    for bias in (True, False):
        side = nn.utils.skip_init(nn.Linear, 6, 4, bias=bias)
        for parameter in side.parameters():
            nn.init.normal_(parameter, generator=random)
        folded = TeacherHead(head, side).on(lambda: pytest.fail("not needed"))
        torch.testing.assert_close(folded(features), head(side(features)).detach())


def test_the_guide_of_gacd_is_the_head_that_its_student_may_keep() -> None:
    """Mapped features are brought to length r one by one in training; where they are equally long, the head says the same."""
    random = generator(1)
    objective = GACD()
    objective.setup(Spaces(6, 3, 20, 4, 3, torch.arange(20) % 3), random)
    objective.radius.fill_(7.0)
    head = Linear(torch.randn(3, 4, generator=random), torch.randn(3, generator=random))
    features = torch.randn(20, 6, generator=random)
    mapped = objective.student_side(features)
    features = 5 * (features / mapped.norm(dim=1, keepdim=True)).detach()
    found = objective.teacher_head(head)
    assert found is not None
    assert not found.exact
    torch.testing.assert_close(found.on(lambda: features)(features), head(objective.embed(features)).detach())
    same = GACD()
    same.setup(Spaces(4, 3, 20, 4, 3, torch.arange(20) % 3), random)
    assert same.teacher_head(head) == TeacherHead(head, same.student_side)
    apart = GACD(teacher_map="fixed", guide=0)
    apart.setup(Spaces(4, 3, 20, 4, 3, torch.arange(20) % 3), random)
    assert apart.teacher_head(head) is None
