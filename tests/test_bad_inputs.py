"""Nonsense handed to attacks, tasks, evaluation and reports: each ends in an error that names the argument."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from robustfeat.attacks import (
    APGD,
    CW,
    FGSM,
    PGD,
    Attack,
    AutoAttack,
    Classifier,
    Goal,
    Noise,
    Square,
    Threat,
    Transfer,
    Worst,
)
from robustfeat.data import MemoryImages, dataset
from robustfeat.evaluation import compare, evaluate, ladder, recount
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.features.recipe import Recipe
from robustfeat.numerics import losses
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.objectives import GACD, NFGSM, TRADES, AdversarialTraining, Natural
from robustfeat.publishing.publication import publish
from robustfeat.report import DataFacts, Report, Splits
from robustfeat.runtime.errors import IntegrityError
from robustfeat.tasks import KNN, LinearProbe, Mahalanobis, OneClass, Retrieval, named
from robustfeat.testing import small_network

THREAT = Threat("linf", 0.1)
IMAGES = torch.rand(4, 3, 8, 8, generator=generator(0))
LABELS = torch.arange(4) % 2
FEATURES = torch.randn(40, 6, generator=generator(1))
CLASSES = torch.arange(40) % 4
DIGITS = dataset("digits", "train[:60]"), dataset("digits", "test[:20]")


def attack(
    images: Any = IMAGES, loss: Any = lambda x: x.flatten(1).sum(1), by: Attack | None = None, **options: Any
) -> Any:
    return (by or PGD(THREAT, steps=2))(loss, images, generator=generator(0), **options)


def class_goal(logits: Callable[[Any], Any]) -> Goal:
    by_name = {"margin": lambda z, rows: losses.margin(z, LABELS[rows])}
    return Goal(logits, by_name, torch.arange(4), wins=True, classifier=Classifier(logits, LABELS))


def extractor() -> FeatureExtractor:
    network = small_network(0)
    return FeatureExtractor(network, Card("untrained", network.architecture, network.feature_dim))


def measure(
    tasks: Any = ("probe",), train: Any = DIGITS[0], test: Any = DIGITS[1], attacks: Any = (), **options: Any
) -> Report:
    return evaluate(extractor(), tasks, train, test, attacks, progress=False, **options)


def changed(features: torch.Tensor, value: float) -> torch.Tensor:
    copy = features.clone()
    copy[3, 2] = value
    return copy


REPORT = Report("a", Splits(test=DataFacts("x", 1, "x")), "none", (), weights="00")

CASES: dict[str, tuple[Callable[[Path], Any], type[Exception], str]] = {
    # images
    "NaN image": (lambda _: attack(changed(IMAGES, torch.nan)), ValueError, "images must be finite"),
    "infinite image": (lambda _: attack(changed(IMAGES, torch.inf)), ValueError, "images must be finite"),
    "minus infinity": (lambda _: attack(changed(IMAGES, -torch.inf)), ValueError, "images must be finite"),
    "uint8 image": (lambda _: attack((IMAGES * 255).byte()), ValueError, "images must be float"),
    "int64 image": (lambda _: attack((IMAGES * 255).long()), ValueError, "images must be float"),
    "bool image": (lambda _: attack(IMAGES > 0.5), ValueError, "images must be float"),
    "0 to 255": (lambda _: attack(IMAGES * 255), ValueError, "divide by 255"),
    "normalised image": (lambda _: attack((IMAGES - 0.5) / 0.2), ValueError, "undo the normalisation"),
    "HWC image": (lambda _: attack(IMAGES.permute(0, 2, 3, 1), extractor()), ValueError, "channels come last"),
    "no batch": (lambda _: attack(IMAGES[0], extractor()), ValueError, "images must have 4 dimensions"),
    "features of uint8": (lambda _: extractor()((IMAGES * 255).byte()), ValueError, "images must be float"),
    # losses
    "scalar loss": (lambda _: attack(loss=lambda x: x.sum()), ValueError, "one value per image"),
    "loss per pixel": (lambda _: attack(loss=lambda x: x.flatten(1)), ValueError, "one value per image"),
    "NaN loss": (lambda _: attack(loss=lambda x: x.flatten(1).sum(1) * torch.nan), ValueError, "loss is NaN"),
    "detached loss": (lambda _: attack(loss=lambda x: x.detach().flatten(1).sum(1)), RuntimeError, "loss has no gradient"),
    "loss without images": (
        lambda _: attack(loss=lambda x: torch.ones(4, requires_grad=True) * 2), RuntimeError, "does not depend on the images",
    ),
    # threats
    "eps 0": (lambda _: Threat("linf", 0), ValueError, "eps must be a positive number"),
    "eps negative": (lambda _: Threat("linf", -0.1), ValueError, "eps must be a positive number"),
    "eps NaN": (lambda _: Threat("linf", torch.nan), ValueError, "eps must be a positive number"),
    "eps infinite": (lambda _: Threat("linf", torch.inf), ValueError, "eps must be a positive number"),
    "eps 8": (lambda _: Threat("linf", 8), ValueError, r"eps 8 is beyond .*did you mean 8/255\?"),
    "eps 1.5": (lambda _: Threat("linf", 1.5), ValueError, r"eps 1\.5 is beyond .*did you mean 8/255\?"),
    "recipe eps 8": (lambda _: Recipe(eps=Eps(8)), ValueError, r"eps 8 is beyond .*did you mean 8/255\?"),
    "recipe step 2": (lambda _: Recipe(step_size=Eps(2)), ValueError, r"step_size 2 is beyond .*did you mean 2/255\?"),
    "ladder to 8": (lambda _: ladder(PGD(THREAT), [4, 8]), ValueError, r"eps 4 is beyond .*did you mean 4/255\?"),
    "PGD step size 2": (lambda _: PGD(step_size=2), ValueError, r"step_size 2 is beyond .*did you mean 2/255\?"),
    "probe attacked by 8": (lambda _: named("adversarial-probe:8"), ValueError, r"did you mean 8/255\?"),
    "eps 8 for one image": (lambda _: attack(eps=torch.tensor([0.1, 8, 0.1, 0.1])), ValueError, "at most 1"),
    "eps a word": (lambda _: Threat("linf", "big"), ValueError, "eps 'big' is not a number"),  # type: ignore[arg-type]
    "eps 8/0": (lambda _: Eps("8/0"), ValueError, "eps '8/0' is not a number"),
    "eps a list": (lambda _: Threat("linf", [0.1]), ValueError, "eps"),  # type: ignore[arg-type]
    "norm l1": (lambda _: Threat("l1", 0.1), ValueError, "norm must be 'linf' or 'l2'"),  # type: ignore[arg-type]
    "eps for other images": (lambda _: attack(eps=torch.full((3,), 0.1)), ValueError, "eps must be 4 positive numbers"),
    "eps 0 for one image": (lambda _: attack(eps=torch.tensor([0.1, 0, 0.1, 0.1])), ValueError, "eps must be 4 positive"),
    # options of attacks
    "PGD steps 0": (lambda _: PGD(steps=0), ValueError, "steps must be at least 1"),
    "PGD restarts 0": (lambda _: PGD(restarts=0), ValueError, "restarts must be at least 1"),
    "PGD step size 0": (lambda _: PGD(step_size=0), ValueError, "step_size must be greater than 0"),
    "PGD momentum 2": (lambda _: PGD(momentum=2), ValueError, "momentum must be in"),
    "CW steps -1": (lambda _: CW(steps=-1), ValueError, "steps must be at least 1"),
    "APGD steps 0": (lambda _: APGD(steps=0), ValueError, "steps must be at least 1"),
    "APGD targets 0": (lambda _: APGD(targets=0), ValueError, "targets must be at least 1"),
    "Square queries 0": (lambda _: Square(queries=0), ValueError, "queries must be at least 1"),
    "Square share 0": (lambda _: Square(share=0), ValueError, "share must be in"),
    "Square share 2": (lambda _: Square(share=2), ValueError, "share must be in"),
    "Noise samples 0": (lambda _: Noise(samples=0), ValueError, "samples must be at least 1"),
    "Worst of nothing": (lambda _: Worst(THREAT, ()), ValueError, "attacks is empty"),
    "Worst of two threats": (lambda _: Worst(THREAT, (FGSM(Threat("linf", 0.2)),)), ValueError, "make them equal"),
    "Transfer without source": (lambda _: Transfer(THREAT, FGSM(THREAT)), ValueError, "source"),
    "Transfer of a loss": (
        lambda _: attack(by=Transfer(THREAT, FGSM(THREAT), extractor())), ValueError, "needs one from `evaluate`",
    ),
    "AutoAttack on a loss": (lambda _: attack(by=AutoAttack(THREAT)), ValueError, "classifiers only"),
    "AutoAttack on NaN logits": (
        lambda _: attack(loss=class_goal(lambda x: x.flatten(1)[:, :4] * 0 / 0), by=AutoAttack(THREAT)), ValueError, "NaN",
    ),
    "ladder of nothing": (lambda _: measure(attacks={"pgd": ladder(PGD(THREAT), [])}), ValueError, "ladder 'pgd' needs"),
    "ladder with eps 0": (lambda _: ladder(PGD(THREAT), [0, 0.1]), ValueError, "eps must be a positive number"),
    "ladder that falls": (
        lambda _: measure(attacks={"pgd": [PGD(Threat("linf", 0.2)), PGD(THREAT)]}), ValueError, "growing eps",
    ),
    "PGD start": (lambda _: PGD(start="zero"), ValueError, "start must be one of 'random', 'clean', got 'zero'"),
    "PGD keep": (lambda _: PGD(keep="best"), ValueError, "keep must be one of"),
    # objectives and recipes
    "weight of gacd": (lambda _: GACD(weight="right"), ValueError, "weight must be one of 'teacher_probability', "),
    "view of gacd": (lambda _: GACD(view="attacked"), ValueError, "view must be one of"),
    "inner loss of gacd": (lambda _: GACD(inner_loss="ce"), ValueError, "inner_loss must be one of"),
    "map of gacd": (lambda _: GACD(teacher_map="mlp"), ValueError, "teacher_map must be one of"),
    "beta of trades": (lambda _: TRADES(beta=-1), ValueError, "beta must not be negative"),
    "noise of nfgsm": (lambda _: NFGSM(noise=-1), ValueError, "noise must not be negative"),
    "spread of at": (lambda _: AdversarialTraining(eps_spread=1.0), ValueError, r"eps_spread must be in \[0, 1\), got 1.0"),
    "smoothing of at": (lambda _: NFGSM(label_smoothing=5), ValueError, "label_smoothing must be in"),
    "smoothing of natural": (lambda _: Natural(label_smoothing=-0.1), ValueError, "label_smoothing must be in"),
    "stem of a recipe": (lambda _: Recipe(stem="large"), ValueError, "stem must be one of 'small', 'cifar', 'timm'"),
    "optimizer": (lambda _: Recipe(optimizer="adam"), ValueError, "optimizer must be one of 'sgd', 'adamw', got 'adam'"),
    "schedule": (lambda _: Recipe(schedule="linear"), ValueError, "schedule must be one of"),
    "precision": (lambda _: Recipe(precision="fp8"), ValueError, "precision must be one of"),
    # evaluation
    "no task": (lambda _: measure([]), ValueError, "no task"),
    "unknown task": (lambda _: measure(["prob"]), KeyError, "did you mean 'probe'"),
    "batch size 0": (lambda _: measure(batch_size=0), ValueError, "batch_size must be at least 1"),
    "examined -1": (lambda _: measure(examined=-1), ValueError, "examined must not be negative"),
    "train is test": (lambda _: measure(test=DIGITS[0]), ValueError, "train and test are the same images"),
    "empty test": (lambda _: measure(test=DIGITS[1].take(range(0))), ValueError, "test split of 'digits' is empty"),
    "no labels": (lambda _: measure(test=MemoryImages("bare", DIGITS[1].images, None)), ValueError, "'bare' has no labels"),
    "one class": (
        lambda _: measure(train=MemoryImages("one", DIGITS[0].images, torch.zeros(60).long())), ValueError, "two classes",
    ),
    "records are a file": (lambda path: measure(records=path / "file"), OSError, "file"),
    # features and targets
    "NaN features": (lambda _: LinearProbe().fit(changed(FEATURES, torch.nan), CLASSES), ValueError, "features contain NaN"),
    "int features": (lambda _: Retrieval().fit(FEATURES.long(), CLASSES), ValueError, "features must be a float tensor"),
    "flat features": (lambda _: Mahalanobis().fit(FEATURES[0]), ValueError, "features must be a float tensor"),
    "features are a list": (lambda _: Mahalanobis().fit([1.0]), ValueError, "features must be"),  # type: ignore[arg-type]
    "no features": (lambda _: Retrieval().fit(FEATURES[:0], CLASSES[:0]), ValueError, "no features to fit on"),
    "too few targets": (lambda _: LinearProbe().fit(FEATURES, CLASSES[:9]), ValueError, "40 features but 9 targets"),
    "negative target": (lambda _: LinearProbe().fit(FEATURES, CLASSES - 1), ValueError, "targets must not be negative"),
    "float targets": (lambda _: LinearProbe().fit(FEATURES, CLASSES.float()), ValueError, "targets must be integer"),
    "unfitted probe": (lambda _: LinearProbe().loss(FEATURES, CLASSES), RuntimeError, "call fit first"),
    "unfitted index": (lambda _: Retrieval().search(FEATURES, 1), RuntimeError, "call fit first"),
    "unfitted detector": (lambda _: KNN().anomaly(FEATURES), RuntimeError, "call fit first"),
    "target out of range": (lambda _: LinearProbe().fit(FEATURES, CLASSES).loss(FEATURES, CLASSES + 1), ValueError, "target 4"),
    "other width": (lambda _: Retrieval().fit(FEATURES, CLASSES).search(FEATURES[:, :5], 1), ValueError, "width 5"),
    "k larger than gallery": (
        lambda _: Retrieval().fit(FEATURES, CLASSES).search(FEATURES, 41), ValueError, r"k must be in 1\.\.40",
    ),
    "k 0": (lambda _: Retrieval().fit(FEATURES, CLASSES).search(FEATURES, 0), ValueError, "k must be in"),
    "k of KNN": (lambda _: KNN(k=41).fit(FEATURES), ValueError, "k = 41 is larger"),
    "shrinkage 0": (lambda _: Mahalanobis(shrinkage=0), ValueError, "shrinkage must be greater than 0"),
    "held_out 1": (lambda _: LinearProbe(held_out=1), ValueError, "held_out must be in"),
    "unknown metric": (lambda _: Retrieval(attacked=["recall@7"]), ValueError, "attacked must be of"),
    "one class of normals": (lambda _: OneClass().fit(FEATURES, CLASSES * 0), ValueError, "at least two classes"),
    "classes for a detector": (
        lambda _: KNN().fit(FEATURES).judge(FEATURES, CLASSES), ValueError, "targets of an anomaly detector",
    ),
    # reports and records
    "report that is none": (lambda path: Report.load(path / "file"), IntegrityError, "is not a report"),
    "report that is missing": (lambda path: Report.load(path / "nothing"), FileNotFoundError, "nothing"),
    "compare without cases": (lambda _: compare(REPORT, REPORT), ValueError, "no values per image"),
    "recount of nothing": (
        lambda path: recount(REPORT, extractor(), ["probe"], *DIGITS, [], path / "none"), FileNotFoundError, "no records",
    ),
    "recount without images": (
        lambda path: (
            measure(records=path / "r"), recount(REPORT, extractor(), ["probe"], *DIGITS, [], path / "r", progress=False),
        ),
        ValueError, "holds no images",
    ),
    "records of another seed": (
        lambda path: (measure(records=path / "r"), measure(records=path / "r", seed=1)), ValueError, "seed was 0 and is 1",
    ),
    "damaged identity": (
        lambda path: ((path / "identity.json").write_text("{"), measure(records=path)), IntegrityError, "cannot be read",
    ),
    "unknown model": (lambda _: publish("gacd-resnet19", REPORT), KeyError, "unknown model"),
}  # fmt: skip


def test_there_are_enough() -> None:
    assert len(CASES) >= 60


@pytest.mark.usefixtures("_as_installed")
@pytest.mark.parametrize("name", CASES)
def test_the_error_names_the_argument(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a report")
    call, error, message = CASES[name]
    with pytest.raises(error, match=message):
        call(tmp_path)
