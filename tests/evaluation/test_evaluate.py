"""`evaluate` against the same thing by hand: its rows, its report, its errors."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import faiss
import numpy as np
import pytest
import torch
from patterns import HEADLINE, TEST, TRAIN, WEAK, images, run
from sklearn.covariance import ShrunkCovariance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch.nn import functional as F

from robustfeat.attacks import FGSM
from robustfeat.data import MemoryImages, dataset, with_outliers
from robustfeat.evaluation import evaluate
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.report import Report, Row
from robustfeat.tasks import KNN, TASKS, LinearProbe, OneClass, Retrieval


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
    sides = ["", "normal", "anomalous"]
    clean, attacked = [], []
    for task, metrics, columns in (
        ("probe", ["accuracy"], [""]),
        ("retrieval", ["recall@1", "recall@5", "recall@10", "map@r", "map", "ndcg"], [""]),
        ("anomaly", ["auroc", "aupr", "aupr-normal", "tnr@95"], sides),
        ("anomaly:knn", ["auroc", "aupr", "aupr-normal", "tnr@95"], sides),
    ):
        clean += [(task, metric, "none", 0.0, "") for metric in metrics]
        # Of retrieval's metrics only those that have a loss of their own are reported under attack.
        aimed_at = ["recall@1", "map@r"] if task == "retrieval" else metrics
        attacks = [(name, 8 / 255, column) for name in ("pgd", "fgsm") for column in columns]
        attacked += [(task, metric, *attack) for attack in attacks for metric in aimed_at]
    rows = [(row.task, row.metric, row.attack, row.eps or 0.0, row.column) for row in report.rows]
    assert sorted(rows) == sorted(clean + attacked)
    for row in report.rows:
        assert row.n == 40
        assert 0 <= row.low <= row.value <= row.high <= 1, row
    for task, metric in HEADLINE.items():
        assert report.value(task, metric, "pgd") <= report.value(task, metric)
        assert report.value(task, metric, "fgsm") <= report.value(task, metric)
        assert report.value(task, metric, "pgd") < 0.75 * report.value(task, metric), "the attack does something"
    for task in ("anomaly", "anomaly:knn"):
        for column in ("normal", "anomalous"):
            assert report.value(task, "auroc", "pgd") <= report.value(task, "auroc", "pgd", column=column)
            assert report.value(task, "auroc", "pgd", column=column) <= report.value(task, "auroc")


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
    assert values["attacks"] == [{"attack": "pgd", "eps": 8 / 255, "configuration": WEAK.configuration}]
    assert values["data"]["test"] == {"name": "patterns", "images": 40, "fingerprint": TEST.fingerprint}
    assert values["data"]["train"]["images"] == 64
    assert values["environment"]["torch"] == torch.__version__.split("+")[0]
    for row in values["rows"]:
        assert set(row) == {"task", "metric", "attack", "eps", "column", "value", "low", "high", "n", "seconds"}
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


def test_test_images_that_were_learnt_are_counted(extractor: FeatureExtractor) -> None:
    """Image by image: two sets that are not the same share some."""
    train, test = dataset("digits", "train[:60]"), dataset("digits", "test[:20]")
    both = torch.cat([train.batch(torch.tensor([7, 3, 3])).images, test.batch(torch.arange(20)).images])
    mixed = MemoryImages("mixed", (both * 255).round().byte(), torch.arange(23) % 10)
    report = evaluate(extractor, ["probe"], train, mixed, progress=False)
    assert report.data.test.in_train == 3
    assert report.warnings() == ("3 of the 23 test images are among the training images, pixel by pixel",)
    assert Report.from_dict(report.as_dict()).warnings() == report.warnings()
    assert evaluate(extractor, ["probe"], train, test, progress=False).data.test.in_train == 0
