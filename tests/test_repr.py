"""What the interpreter shows of public objects: a line that a person can read."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from image_files import pixels, write_images
from mvtec_folder import write_mvtec

import robustfeat
from robustfeat.attacks import APGD, ATTACKS, CW, FGSM, PGD, Fast, Noise, Square, Standard, Threat, Transfer, Worst
from robustfeat.backbones.architecture import Architecture
from robustfeat.backbones.network import new_network
from robustfeat.data import MemoryImages, dataset, with_outliers
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.features.patches import PatchExtractor
from robustfeat.index import FeatureIndex
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.report import DataFacts, Report, Row, Splits, Title
from robustfeat.tasks import DETECTORS, TASKS, Head, LinearProbe, OneClass, PatchCore, Retrieval, named


def extractor(threat: str = "linf 8/255", name: str = "mine") -> FeatureExtractor:
    network = new_network(Architecture("resnet_tiny", classes=2, image_size=16))
    return FeatureExtractor(network, Card(name, network.architecture, network.feature_dim, threat=threat))


MINE = extractor()


def test_models() -> None:
    shown = "FeatureExtractor('gacd-resnet18', resnet18, 512 features, 32x32, linf 8/255)"
    assert repr(robustfeat.load("gacd-resnet18")) == shown
    assert repr(extractor("none")) == "FeatureExtractor('mine', resnet_tiny, 128 features, 16x16)"
    patches = PatchExtractor(extractor())
    grid = "x".join(map(str, patches.grid))
    assert (
        repr(patches)
        == f"PatchExtractor('mine[{','.join(patches.layers)}]', resnet_tiny, {grid} maps, 16x16, linf 8/255)"
    )
    transformer = repr(robustfeat.FeatureTransformer(extractor()))
    assert "\n" not in transformer.replace("\n", " ", 3)
    assert "FeatureExtractor('mine'" in transformer


def test_cards() -> None:
    card = robustfeat.load("gacd-resnet18").card
    shown = f"Card('gacd-resnet18', resnet18, 512 features, 32x32, linf 8/255, gacd, {len(card.reports)} reports)"
    assert repr(card) == shown
    plain = extractor("none").card
    assert repr(plain) == "Card('mine', resnet_tiny, 128 features, 16x16, 0 reports)"


def test_data_sets(tmp_path: Path) -> None:
    assert repr(dataset("digits", "test")) == "ImageDataset('digits', test, 500 images 8x8, 10 classes)"
    part = dataset("digits", "train[:90%]", image_size=32)
    assert repr(part) == "ImageDataset('digits', train[:90%], 1167 images 32x32, 10 classes)"
    assert repr(part.head(7)) == "ImageDataset('digits', train[:90%], 7 images 32x32, 10 classes)"
    plain = MemoryImages("plain", torch.zeros(2, 3, 4, 4).byte(), None)
    assert repr(plain) == "ImageDataset('plain', 2 images 4x4, no labels)"
    assert repr(MemoryImages("numbers", plain.images, torch.tensor([0, 1]))).endswith("unnamed classes)")
    write_images(tmp_path / "a", pixels(2))
    for in_memory in (True, False):
        data = dataset(tmp_path / "a", in_memory=in_memory)
        assert repr(data.take([1])) == f"ImageDataset({str(tmp_path / 'a')!r}, train, 1 images 8x8, no labels)"
    assert repr(dataset(write_mvtec(tmp_path / "m"), "test")).endswith(", test, 6 images 16x16, 3 classes, masks)")
    digits = dataset("digits", "test")
    both = with_outliers(digits, digits)
    assert repr(both) == "ImageDataset('digits and digits', 1000 images 8x8, 20 classes)"


@pytest.mark.parametrize(
    ("attack", "shown"),
    [
        (PGD(steps=40), "PGD(linf 8/255, 40 steps)"),
        (PGD(steps=40, step_size=Eps("1/255")), "PGD(linf 8/255, 40 steps, step_size=1/255)"),
        (
            PGD(Threat("l2", Eps(0.5)), steps=10, step_size=0.25, restarts=5, start="clean"),
            "PGD(l2 0.5, 10 steps, step_size=0.25, 5 restarts, start='clean')",
        ),
        (PGD(steps=1, step_size=2 / 255), "PGD(linf 8/255, steps=1, step_size=2/255)"),
        (CW(steps=40), "CW(linf 8/255, 40 steps)"),
        (FGSM(), "FGSM(linf 8/255)"),
        (APGD(), "APGD(linf 8/255, 100 steps)"),
        (APGD(restarts=5, climb="dlr-*"), "APGD(linf 8/255, 100 steps, 5 restarts, climb='dlr-*')"),
        (Square(queries=100), "Square(linf 8/255, 100 queries)"),
        (Noise(), "Noise(linf 8/255, 20 samples)"),
        (Fast(), "Fast(linf 8/255, 30 steps)"),
        (Standard(), "Standard(linf 8/255)"),
        (Worst(Threat(), (APGD(), FGSM())), "Worst(linf 8/255, attacks=(APGD(linf 8/255, 100 steps), FGSM(linf 8/255)))"),
        (Transfer(Threat(), FGSM(), MINE), f"Transfer(linf 8/255, attack=FGSM(linf 8/255), source={MINE!r})"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)  # fmt: skip
def test_attacks(attack: object, shown: str) -> None:
    assert repr(attack) == shown


def test_a_report_has_every_option_of_an_attack() -> None:
    """As it was when the published reports were written: equal configurations are equal attacks there."""
    assert PGD(steps=20).configuration == (
        "PGD(threat=Threat(norm='linf', eps=8/255), steps=20, step_size=1/255, restarts=1, start='random', climb=None, "
        "momentum=0.0, keep='worst')"
    )
    both = Worst(Threat(), (APGD(), FGSM())).configuration
    assert (
        both
        == f"Worst(threat=Threat(norm='linf', eps=8/255), attacks=({APGD().configuration}, {FGSM().configuration}))"
    )
    one = Worst(Threat(), (FGSM(),)).configuration
    assert one.endswith(f"attacks=({FGSM().configuration},))")
    for name in ATTACKS:
        attack = ATTACKS[name]()
        for field in dataclasses.fields(attack):
            assert f"{field.name}=" in attack.configuration


def test_tasks() -> None:
    x = torch.randn(60, 6, generator=generator(0)) + 3 * (torch.arange(60) % 3)[:, None]
    y = torch.arange(60) % 3
    for task, options in (
        (LinearProbe(), "held_out=0.2, seed=0"),
        (OneClass(PatchCore(coreset=0.5)), "detector=PatchCore(coreset=0.5, neighbours=9, grid=None, seed=0), others=9, seed=0"),
        (named("ood:energy"), "detector=Energy(seed=0)"),
        (Retrieval("HNSW32"), "index='HNSW32', attacked=('recall@1', 'map@r'), deep=None"),
    ):  # fmt: skip
        name = type(task).__name__
        assert repr(task) == f"{name}({options}, not fitted)"
        assert repr(task.fit(x, y)) == f"{name}({options}, fitted)"
    assert repr(Head("no-such-model")) == "Head(source='no-such-model', not fitted)", "nothing is loaded for it"
    for registry in (TASKS, DETECTORS):
        for key in registry:
            task = registry[key]()
            before = task.options()
            assert repr(task).endswith("not fitted)")
            if key != "head":
                assert repr(task.fit(x, y)).endswith(", fitted)")
            assert "\n" not in repr(task)
            assert task.options() == before, "records are known by these, before and after"


def test_indexes() -> None:
    index = FeatureIndex(16, metric="l2")
    assert repr(index) == "FeatureIndex(Flat, 0 items, width 16, l2)"
    index.add(torch.randn(30, 16, generator=generator(0)))
    assert repr(index) == "FeatureIndex(Flat, 30 items, width 16, l2)"


def row(task: str, metric: str, attack: str, value: float, n: int = 100) -> Row:
    return Row(Title.read(task), metric, attack, None, "", value, value - 0.1, value + 0.1, n, 0.0)


def test_reports() -> None:
    rows = (
        row("probe", "accuracy", "none", 0.8),
        row("probe", "accuracy", "pgd", 0.3),
        row("anomaly:<b>", "auroc", "none", 0.5),
    )
    report = Report("m & m", Splits(None, DataFacts("digits", 100, "")), "linf 8/255", rows)
    assert repr(report) == "Report('m & m', digits, linf 8/255, 3 rows, n = 100)"
    other = dataclasses.replace(report, rows=(*rows[:1], row("retrieval", "recall@1", "none", 0.5, n=90)))
    assert repr(other) == "Report('m & m', digits, linf 8/255, 2 rows, n = 90 to 100)"
    table = ElementTree.fromstring(report._repr_html_())  # well formed, so nothing of a name is a tag
    assert table.findtext("caption") == repr(report)
    assert [[cell.text or "" for cell in line] for line in table.findall("tr")] == [
        ["task", "metric", "clean", "pgd"],
        ["probe", "accuracy", "0.800 [0.700, 0.900]", "0.300 [0.200, 0.400]"],
        ["anomaly:<b>", "auroc", "0.500 [0.400, 0.600]", ""],
    ]
    assert "&lt;b&gt;" in report._repr_html_()
    empty = Report("m", Splits(), "none", ())
    assert repr(empty) == "Report('m', unknown data, none, 0 rows)"
    assert len(ElementTree.fromstring(empty._repr_html_()).findall("tr")) == 1
