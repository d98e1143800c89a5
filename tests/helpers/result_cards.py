"""Cards of three models with numbers that were made up, for the tests of the tables."""

from __future__ import annotations

from robustfeat.attacks.flag import Flag
from robustfeat.backbones.architecture import Architecture
from robustfeat.features.card import Card, ModelRef, Training
from robustfeat.numerics.eps import Eps
from robustfeat.report import DataFacts, Ran, Report, Row, Sized, Splits

FLAG = Flag("zero gradients", 0.5, 0.02, "of the images")


def report(
    data: str, numbers: dict[str, float], n: int = 1000, flagged: str = "", threat: str = "linf 8/255"
) -> Report:
    """numbers: "task metric attack", and a size that is not 8/255 -> value; the interval is a hundredth to each side."""
    places = {_place(*text.split()): value for text, value in numbers.items()}
    rows = tuple(Row(*place, "", value, value - 0.01, value + 0.01, n, 1.0) for place, value in places.items())
    attacks = {Sized(attack, eps): f"{attack}(eps={eps})" for *_, attack, eps in places if attack != "none"}
    runs = tuple(
        Ran(
            task,
            "",
            attack,
            eps,
            f"{attack} on {task}",
            9,
            9,
            0,
            0,
            1.0,
            (FLAG,) if attack == flagged else (),
            examined=16,
        )
        for task, _, attack, eps in places
        if attack != "none"
    )
    return Report("m", Splits(DataFacts(data, 50_000), DataFacts(data, n)), threat, rows, attacks=attacks, runs=runs)


def _place(task: str, metric: str, attack: str, size: str = "8/255") -> tuple[str, str, str, Eps | None]:
    return task, metric, attack, None if attack == "none" else Eps(size)


def card(name: str, *reports: Report, threat: str = "linf 8/255", teacher: str = "", minutes: float = 132.4) -> Card:
    return Card(
        name,
        Architecture("resnet18"),
        512,
        threat=threat,
        data=DataFacts("cifar10", 50_000),
        teacher=ModelRef(teacher) if teacher else None,
        training=Training(minutes=minutes),
        reports=reports,
    )


TEACHER = card(
    "z-teacher",
    report("digits", {"probe accuracy none": 0.9, "probe accuracy fast": 0.7}, n=500),
    report(
        "cifar10",
        {
            "probe accuracy none": 0.8,
            "probe accuracy fast": 0.5,
            "probe accuracy standard": 0.45,
            "probe recall@1 none": 0.111,
            "head accuracy none": 0.82,
            "head accuracy standard": 0.47,
            "anomaly auroc none": 0.93,
            "anomaly auroc standard": 0.63,
            "anomaly auroc pgd": 0.65,
        },
    ),
    report(
        "cifar10",
        {"probe accuracy none": 0.99, "probe accuracy apgd 2/255": 0.98, "probe accuracy apgd 4/255": 0.97},
        n=300,
    ),
)
STUDENT = card(
    "a-student",
    report("cifar10", {"probe accuracy none": 0.78, "probe accuracy fast": 0.48, "probe accuracy standard": 0.44}),
    report("digits", {"probe accuracy none": 0.91, "probe accuracy pgd": 0.6, "probe accuracy fast": 0.69}, n=400),
    teacher="z-teacher",
    minutes=95.6,
)
NATURAL = card(
    "natural",
    report("cifar10", {"probe accuracy none": 0.95, "probe accuracy standard": 0.01}, flagged="standard"),
    threat="none",
)
