"""Which loss an attack climbs: the one it names, which must be there, or what it leaves to the goal; and what a report names."""

from __future__ import annotations

import pytest
import torch
from linear_model import Linear

from robustfeat.attacks import APGD, CW, FGSM, PGD, Attack, Fast, Goal, Standard, Threat, Transfer, Worst
from robustfeat.numerics.random import generator

MODEL = Linear(4, (3, 4, 4), 4)
THREAT = Threat("linf", 0.02)


def ranked() -> Goal:
    """A goal without classes, like that of a retrieval: a margin decides, another loss can be climbed."""
    by_name = {"gap": lambda z, rows: z[:, 0] - z[:, 1], "mean": lambda z, rows: z.mean(dim=1)}
    return Goal(MODEL, by_name, torch.arange(4), wins=False)


@pytest.mark.parametrize(
    ("attack", "classes", "elsewhere"),
    [
        (FGSM(), "ce", "gap"),
        (PGD(), "ce", "gap"),
        (APGD(), "ce", "gap"),
        (CW(), "margin", "gap"),
        (PGD(climb=""), "margin", "gap"),
    ],
    ids=repr,
)
def test_what_is_left_to_the_goal(attack: Attack, classes: str, elsewhere: str) -> None:
    assert attack.plan(MODEL.goal()).climb == classes  # type: ignore[attr-defined]
    assert attack.plan(ranked()).climb == elsewhere  # type: ignore[attr-defined]


@pytest.mark.parametrize("attack", [FGSM(THREAT), PGD(THREAT, steps=4), APGD(THREAT, steps=4), CW(THREAT, steps=4)])
@pytest.mark.parametrize("goal", [MODEL.goal, ranked], ids=["classes", "ranked"])
def test_what_the_report_names_is_what_ran(attack: Attack, goal: type[Goal]) -> None:
    one, other = (a(goal(), MODEL.images, generator=generator(0)) for a in (attack, attack.plan(goal())))
    assert torch.equal(one, other)


@pytest.mark.parametrize("attack", [FGSM, PGD, APGD, CW])
@pytest.mark.parametrize("name", ["ce", "margin-*"])
def test_a_loss_that_is_not_there_is_an_error(attack: type[Attack], name: str) -> None:
    """Neither is another one climbed instead, nor is anything said to have run."""
    named = attack(THREAT, climb=name)  # type: ignore[call-arg]
    expected = rf"the goal has no loss '{name.replace('*', '.')}', it has 'gap', 'mean'; name one of them"
    for use in (
        lambda: named(ranked(), MODEL.images, generator=generator(0)),
        lambda: named.plan(ranked()),
        lambda: Worst(THREAT, (named,)).plan(ranked()),
    ):
        with pytest.raises(ValueError, match=expected):
            use()
    with pytest.raises(ValueError, match=rf"no loss '{name.replace('*', '.')}', it has 'loss'"):
        named(lambda x: MODEL(x)[:, 0], MODEL.images, generator=generator(0))


def test_a_loss_that_is_there_is_climbed() -> None:
    """The gradient of z_0 - z_1 and that of the mean, as the signs of the weights say."""
    for name, weight in (("gap", MODEL.weight[0] - MODEL.weight[1]), ("mean", MODEL.weight.mean(dim=0))):
        _, gradient = ranked().slope(MODEL.images, name)
        torch.testing.assert_close(gradient.flatten(1), weight.expand(4, -1))


def test_budgets_and_attacks_of_attacks_name_it_as_well() -> None:
    for goal, climbed in ((MODEL.goal(), "climb='ce'"), (ranked(), "climb='gap'")):
        for attack in (Fast(), Standard(), Transfer(Threat(), APGD(), MODEL), Worst(Threat(), (FGSM(), APGD()))):
            text = repr(attack.plan(goal))
            assert climbed in text
            assert "climb=None" not in text
