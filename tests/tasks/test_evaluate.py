"""`evaluate` against the same thing by hand, and against closed forms for linear pipelines."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import faiss
import numpy as np
import pytest
import torch
from sklearn.covariance import ShrunkCovariance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch.nn import functional as F

from robustfeat.attacks import FGSM, PGD, Attack, Noise, Threat, Transfer
from robustfeat.card import Card
from robustfeat.data import MemoryImages, dataset, with_outliers
from robustfeat.extractor import FeatureExtractor
from robustfeat.random import generator
from robustfeat.report import Report
from robustfeat.tasks import KNN, TASKS, LinearProbe, OneClass, Retrieval, evaluate, ladder
from robustfeat.testing import small_network
from robustfeat.types import Eps, Row

HEADLINE = {"probe": "accuracy", "retrieval": "recall@1", "anomaly": "auroc", "anomaly:knn": "auroc"}
WEAK = PGD(threat=Threat("linf", Eps("8/255")), steps=3, step_size=Eps("3/255"))


def images(n: int, seed: int, classes: int = 4) -> MemoryImages:
    """8x8 images of `classes` blurred patterns in noise, hard enough that no task is perfect."""
    labels = torch.arange(n) % classes
    patterns = torch.rand(classes, 3, 8, 8, generator=generator(41))
    noise = torch.randn(n, 3, 8, 8, generator=generator(seed))
    pixels = (0.25 + 0.5 * patterns[labels] + 0.25 * noise).clamp(0, 1)
    return MemoryImages("patterns", pixels.mul(255).round().byte(), labels)


TRAIN, TEST = images(64, 42), images(40, 43)


def run(extractor: FeatureExtractor, attacks: list[Attack], tasks: list[str] | None = None, seed: int = 0) -> Report:
    return evaluate(
        extractor, tasks or list(HEADLINE), TRAIN, TEST, attacks, batch_size=16, seed=seed, progress=False, examined=0
    )


def without_time(report: Report) -> list[Row]:
    return [dataclasses.replace(row, seconds=0.0) for row in report.rows]


def test_the_clean_rows_by_hand(extractor: FeatureExtractor) -> None:
    report = run(extractor, [])
    learnt, tested = extractor.transform(TRAIN), extractor.transform(TEST)
    classes, labels = TRAIN.require_labels().numpy(), TEST.require_labels().numpy()

    penalty = LinearProbe().fit(torch.from_numpy(learnt), torch.from_numpy(classes)).penalty_
    assert penalty is not None
    referee = LogisticRegression(C=1 / (64 * penalty), solver="newton-cholesky", tol=1e-8)
    expected = referee.fit(learnt.astype(np.float64), classes).score(tested.astype(np.float64), labels)
    assert report.value("probe", "accuracy") == pytest.approx(expected, abs=1e-9)

    index = faiss.IndexFlatIP(learnt.shape[1])
    index.add(learnt / np.linalg.norm(learnt, axis=1, keepdims=True))
    nearest = index.search(tested / np.linalg.norm(tested, axis=1, keepdims=True), 16)[1]
    hits = classes[nearest] == labels[:, None]
    for k in (1, 5, 10):
        assert report.value("retrieval", f"recall@{k}") == pytest.approx(hits[:, :k].any(axis=1).mean(), abs=1e-6)
    precision = hits.cumsum(axis=1) / np.arange(1, 17) * hits  # 16 items of each class
    assert report.value("retrieval", "map@r") == pytest.approx((precision.sum(axis=1) / 16).mean(), abs=1e-6)

    aurocs: dict[str, list[float]] = {"anomaly": [], "anomaly:knn": []}
    sphere = F.normalize(torch.from_numpy(learnt).double(), dim=1)
    for c in range(4):
        gaussian = ShrunkCovariance(shrinkage=0.1 / 1.1).fit(learnt[classes == c].astype(np.float64))
        scores = {"anomaly": gaussian.mahalanobis(tested.astype(np.float64))}
        distances = torch.cdist(F.normalize(torch.from_numpy(tested).double(), dim=1), sphere[classes == c])
        scores["anomaly:knn"] = distances.sort(dim=1).values[:, 4].numpy()
        for name, values in aurocs.items():
            values.append(roc_auc_score(labels != c, scores[name]))
    for name, values in aurocs.items():
        assert report.value(name, "auroc") == pytest.approx(np.mean(values), abs=1e-6)
    assert all(0.3 < report.value(task, metric) < 1 for task, metric in HEADLINE.items()), "too easy to tell anything"


def test_row_schema(extractor: FeatureExtractor) -> None:
    report = run(extractor, [WEAK, FGSM(threat=WEAK.threat)])
    sides = ["", "/normal", "/anomalous"]
    clean, attacked = [], []
    for task, metrics, suffixes in (
        ("probe", ["accuracy"], [""]),
        ("retrieval", ["recall@1", "recall@5", "recall@10", "map@r", "map", "ndcg"], [""]),
        ("anomaly", ["auroc", "aupr", "aupr-normal", "tnr@95"], sides),
        ("anomaly:knn", ["auroc", "aupr", "aupr-normal", "tnr@95"], sides),
    ):
        clean += [(task, metric, "none") for metric in metrics]
        # Of retrieval's metrics only those that have a loss of their own are reported under attack.
        aimed_at = ["recall@1", "map@r"] if task == "retrieval" else metrics
        attacks = [name + suffix for name in ("pgd", "fgsm") for suffix in suffixes]
        attacked += [(task, metric, attack) for attack in attacks for metric in aimed_at]
    rows = [(row.task, row.metric, row.attack) for row in report.rows]
    assert sorted(rows) == sorted(clean + attacked)
    for row in report.rows:
        assert row.n == 40
        assert 0 <= row.low <= row.value <= row.high <= 1, row
        assert row.seconds >= 0
    for task, metric in HEADLINE.items():
        assert report.value(task, metric, "pgd") <= report.value(task, metric)
        assert report.value(task, metric, "fgsm") <= report.value(task, metric)
        assert report.value(task, metric, "pgd") < 0.75 * report.value(task, metric), "the attack does something"
    for task in ("anomaly", "anomaly:knn"):
        for column in ("pgd/normal", "pgd/anomalous"):
            assert report.value(task, "auroc", "pgd") <= report.value(task, "auroc", column)
            assert report.value(task, "auroc", column) <= report.value(task, "auroc")


@pytest.mark.usefixtures("no_intervals")
def test_more_of_pgd_is_not_weaker(extractor: FeatureExtractor) -> None:
    """The stronger attack passes through every point of the weaker one, so this holds exactly."""
    gentle = dataclasses.replace(WEAK, threat=Threat("linf", Eps("2/255")), step_size=Eps("1/255"))
    weak = run(extractor, [gentle])
    for stronger in (dataclasses.replace(gentle, restarts=3), dataclasses.replace(gentle, steps=9)):
        strong = run(extractor, [stronger])
        for task, metric in HEADLINE.items():
            assert strong.value(task, metric, "pgd") <= weak.value(task, metric, "pgd"), (task, stronger)


def test_equal_seeds_give_equal_reports(extractor: FeatureExtractor) -> None:
    tasks = ["probe", "retrieval", "anomaly:knn"]
    first, second = run(extractor, [WEAK], tasks, seed=5), run(extractor, [WEAK], tasks, seed=5)
    assert without_time(first) == without_time(second)
    assert without_time(first) != without_time(run(extractor, [WEAK], tasks, seed=6))


def test_the_report_file(extractor: FeatureExtractor, tmp_path: Path) -> None:
    report = run(extractor, [WEAK], ["probe", "anomaly:knn"])
    report.save(tmp_path / "report.json")
    values = json.loads((tmp_path / "report.json").read_text())
    assert {"model", "data", "threat", "rows", "environment"} <= set(values)
    assert values["model"] == "untrained"
    assert values["threat"] == "linf 8/255"
    assert values["attacks"] == {"pgd": repr(WEAK)}
    assert values["data"]["test"] == {"name": "patterns", "images": 40, "fingerprint": TEST.fingerprint}
    assert values["data"]["train"]["images"] == 64
    assert values["environment"]["torch"] == torch.__version__.split("+")[0]
    for row in values["rows"]:
        assert set(row) == {"task", "metric", "attack", "value", "low", "high", "n", "seconds"}
    assert Report.load(tmp_path / "report.json") == report


def test_names_of_attacks_and_tasks(extractor: FeatureExtractor) -> None:
    fgsm = FGSM(threat=WEAK.threat)
    listed = run(extractor, [fgsm, WEAK, fgsm], ["probe"])
    assert [row.attack for row in listed.rows] == ["none", "fgsm", "pgd", "fgsm-2"]
    mapped = evaluate(extractor, [LinearProbe()], TRAIN, TEST, {"quick": fgsm}, progress=False, examined=0)
    assert [row.attack for row in mapped.rows] == ["none", "quick"]
    assert mapped.value("probe", "accuracy", "quick") == listed.value("probe", "accuracy", "fgsm")
    assert run(extractor, [], ["probe"]).threat == "none"


def test_modes_and_parameters_are_left_alone(extractor: FeatureExtractor) -> None:
    extractor.train()
    extractor.network.model.body[1].eval()
    modes = [module.training for module in extractor.modules()]
    before = {name: value.clone() for name, value in extractor.state_dict().items()}
    run(extractor, [WEAK], ["probe"])
    assert [module.training for module in extractor.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in extractor.state_dict().items())
    assert all(parameter.grad is None for parameter in extractor.parameters())


def test_few_images_make_wide_intervals(extractor: FeatureExtractor) -> None:
    """Three test images of each of ten classes: a resample may lack some; those are left out of its mean."""
    report = evaluate(extractor, ["anomaly:knn"], images(100, 42, 10), images(30, 43, 10), progress=False, examined=0)
    assert all(row.low <= row.value <= row.high for row in report.rows)
    assert report.rows[0].high - report.rows[0].low > 0.02


@pytest.mark.parametrize(
    ("train", "test", "tasks", "error", "message"),
    [
        (TRAIN, TEST, [], ValueError, "no task"),
        (TRAIN, TEST, ["prob"], KeyError, "did you mean 'probe'"),
        (TRAIN, TEST.take(torch.arange(0)), ["probe"], ValueError, "test split of 'patterns' is empty"),
        (TRAIN.take(torch.arange(0)), TEST, ["probe"], ValueError, "no features to fit on"),
        (MemoryImages("bare", TRAIN.images, None), TEST, ["probe"], ValueError, "'bare' has no labels"),
        (TRAIN, MemoryImages("bare", TEST.images, None), ["probe"], ValueError, "'bare' has no labels"),
        (TRAIN, images(40, 43, classes=5), ["probe"], ValueError, "target 4 is not among the 4 classes"),
        (images(64, 42, classes=1), TEST, ["probe"], ValueError, "at least two classes"),
        (TRAIN, TEST.head(1), ["anomaly"], ValueError, "both normal and anomalous"),
    ],
)
def test_errors(
    extractor: FeatureExtractor,
    train: MemoryImages,
    test: MemoryImages,
    tasks: list[str],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        evaluate(extractor, tasks, train, test, [WEAK], progress=False, examined=0)


@pytest.mark.usefixtures("no_intervals")
@pytest.mark.parametrize("task", ["retrieval", "anomaly", "anomaly:knn"])
def test_every_kind_of_task_can_be_transferred(extractor: FeatureExtractor, task: str) -> None:
    network = small_network(5)
    source = FeatureExtractor(network, Card("source", network.architecture, network.feature_dim))
    attacks = {"own": WEAK, "transferred": Transfer(WEAK.threat, WEAK, source)}
    report = evaluate(extractor, [task], TRAIN, TEST, attacks, progress=False, examined=0)
    own, transferred = (report.value(task, HEADLINE[task], name) for name in attacks)
    assert own <= transferred <= report.value(task, HEADLINE[task])


def test_transfer_is_between_noise_and_white_box(extractor: FeatureExtractor) -> None:
    """From the model itself it is the attack itself; from another model it is weaker than that, and no weaker than noise."""
    network = small_network(7)
    other = FeatureExtractor(network, Card("other", network.architecture, network.feature_dim))
    attack = PGD(Threat("linf", Eps("16/255")), steps=10)
    attacks = {
        "white": attack,
        "own": Transfer(attack.threat, attack, extractor),
        "other": Transfer(attack.threat, attack, other),
        "noise": Noise(attack.threat, samples=2),
    }
    report = evaluate(extractor, ["probe"], TRAIN, TEST, attacks, progress=False, examined=0)
    white, own, transferred, noise = (report.value("probe", "accuracy", name) for name in attacks)
    assert own == pytest.approx(white, abs=0.05)  # other random starts
    assert white < transferred <= noise
    with pytest.raises(ValueError, match="make them equal"):
        Transfer(Threat("linf", 0.5), attack, other)
    with pytest.raises(ValueError, match="needs one from `evaluate`"):
        Transfer(attack.threat, attack, other)(lambda x: x.flatten(1).sum(1), torch.full((2, 3, 8, 8), 0.5))


def test_a_ladder_only_falls(extractor: FeatureExtractor) -> None:
    """Each rung starts from what the one before found, so that a metric that its aim decides can not rise again."""
    attack = PGD(Threat("linf", Eps("8/255")), steps=2)
    rungs = ladder(attack, [Eps(f"{n}/255") for n in (8, 2, 1, 4)])
    assert [rung.threat.eps for rung in rungs] == [n / 255 for n in (1, 2, 4, 8)]
    assert [rung.step_size for rung in rungs] == pytest.approx([1.25 * rung.threat.eps for rung in rungs])  # type: ignore[attr-defined]
    report = evaluate(
        extractor, ["probe", "retrieval"], TRAIN, TEST, {"pgd": rungs}, batch_size=16, progress=False, examined=0
    )
    for task, metric in (("probe", "accuracy"), ("retrieval", "recall@1")):
        values = [report.value(task, metric, f"pgd@{n}/255") for n in (1, 2, 4, 8)]
        assert values == sorted(values, reverse=True)
        assert values[0] > values[-1], "too easy to tell anything"
    backwards = [ran.backwards for ran in report.runs if ran.task == "probe"]
    assert backwards[-1] < backwards[0], "what a smaller eps has broken is not attacked again"
    with pytest.raises(ValueError, match="growing eps"):
        evaluate(extractor, ["probe"], TRAIN, TEST, {"pgd": rungs[::-1]}, progress=False)


def test_every_registered_task_can_be_evaluated(extractor: FeatureExtractor) -> None:
    attack = FGSM(threat=WEAK.threat)
    tests = {False: TEST, True: with_outliers(TEST, dataset("digits", "test[:20]"))}
    for name in TASKS:
        test = tests[TASKS[name].novel_classes]
        report = evaluate(extractor, [name], TRAIN, test, [attack], progress=False, examined=0)
        assert {row.task for row in report.rows} == {name}
        assert {row.n for row in report.rows} == {
            39 if name == "poisoning" else len(test)
        }  # one image is in the gallery
    fitted = [LinearProbe(), Retrieval(), OneClass(KNN(2)), OneClass(KNN(2))]
    again = evaluate(extractor, fitted, TRAIN, TEST, progress=False, examined=0)
    assert again.value("anomaly:knn", "auroc") == again.value("anomaly:knn-2", "auroc")
