"""Numbers counted again from kept images: none differs, and whatever is changed is found."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from robustfeat.attacks import APGD, PGD, Attack, Threat
from robustfeat.command_line.cli import main
from robustfeat.data import dataset
from robustfeat.evaluation import Evaluation, Records, evaluate, ladder, recount
from robustfeat.evaluation.deltas import Deltas
from robustfeat.features import hub
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.report import Report, Row
from robustfeat.runtime.errors import IntegrityError

LINF, L2 = Threat("linf", 0.1), Threat("l2", 0.7)
ATTACKS = {"pgd": PGD(LINF, steps=3), "curve": ladder(APGD(L2, steps=3), [0.3, 0.7])}
TASKS = ["probe", "retrieval"]


@pytest.fixture
def data() -> tuple[Any, Any]:
    return dataset("digits", "train[:100]"), dataset("digits", "test[:30]")


def make(extractor: FeatureExtractor, data: tuple[Any, Any], records: Any = None) -> Report:
    return evaluate(extractor, TASKS, *data, ATTACKS, batch_size=8, examined=0, records=records, progress=False)


def again(report: Report, extractor: FeatureExtractor, data: tuple[Any, Any], folder: Path) -> list[Any]:
    return recount(report, extractor, TASKS, *data, ATTACKS, folder, progress=False)


def rescale(folder: Path, name: str, start: int, factor: float) -> None:
    """Make the changes of every kept image of a batch larger or smaller."""
    records = Records(folder, images=True)
    batch = records.read(name, start)
    assert batch is not None
    (path,) = (folder / name).glob(f"{start:09d}.*")
    path.unlink()
    changed = [deltas._replace(sizes=factor * deltas.sizes) for deltas in batch.deltas]
    records.write(name, start, batch._replace(deltas=changed))


@pytest.mark.parametrize(("norm", "eps"), [("linf", 8 / 255), ("l2", 0.5)])
def test_deltas(norm: Literal["linf", "l2"], eps: float) -> None:
    """In the ball, in [0, 1], within a step of the original; under linf a full step stays a full step."""
    random = generator(0)
    clean = torch.rand(20, 3, 8, 8, generator=random).mul(1.4).sub(0.2).clamp(0, 1)
    ball = Threat(norm, eps).around(clean)
    attacked = ball.project(clean + torch.randn(clean.shape, generator=random) * eps)
    attacked[0] = clean[0]
    exact = torch.arange(20) % 5 == 4
    kept = Deltas.between(ball, attacked).keeping(exact, attacked)
    assert kept.steps.dtype == torch.int8
    images = kept.images(clean)
    assert images.min() >= 0
    assert images.max() <= 1
    assert (ball.distance(images) <= eps + 1e-6).all()
    largest = (attacked - clean).abs().flatten(1).amax(1)
    gap = (images - attacked).abs().flatten(1).amax(1)
    assert (gap <= largest / 100 + 1e-6).all()
    assert torch.equal(images[0], clean[0])
    assert torch.equal(images[exact], attacked[exact])
    assert (gap[~exact][1:] > 0).all()
    if norm == "linf":
        full = (attacked - clean).abs() == eps
        assert torch.allclose(images[full], attacked[full], atol=1e-6)


def test_no_number_differs(extractor: FeatureExtractor, data: tuple[Any, Any], tmp_path: Path) -> None:
    report = make(extractor, data, Records(tmp_path, images=True))
    assert len(report.rows) == 7 + 3 * (1 + 2)
    assert again(report, extractor, data, tmp_path) == []
    # Rounding must not take from the attacker what he has won, and moves a score by next to nothing.
    for row, plain in zip(report.rows, make(extractor, data).rows, strict=True):
        if row.metric in ("accuracy", "recall@1") and row.attack != "none":
            assert row.value <= plain.value
        assert abs(row.value - plain.value) <= 0.01, (row, plain)


def test_whatever_is_changed_is_found(extractor: FeatureExtractor, data: tuple[Any, Any], tmp_path: Path) -> None:
    report = make(extractor, data, Records(tmp_path, images=True))
    rows = list(report.rows)
    rows[5] = dataclasses.replace(rows[5], value=rows[5].value + 0.001)
    rows.append(Row("probe", "accuracy", "apgd", None, "", 1.0, 1.0, 1.0, 30, 0.0))
    wrong = again(dataclasses.replace(report, rows=tuple(rows)), extractor, data, tmp_path)
    assert [pair[0] for pair in wrong] == [rows[5], rows[-1]]
    assert wrong[0][1].value == report.rows[5].value
    assert wrong[1][1] is None

    # The features that were kept are not believed: with other images, other numbers come out.
    rescale(tmp_path, "probe under pgd", 0, factor=0)
    assert {(row.task, row.attack) for row, _ in again(report, extractor, data, tmp_path)} == {("probe", "pgd")}


def test_images_outside_the_threat_are_refused(
    extractor: FeatureExtractor, data: tuple[Any, Any], tmp_path: Path
) -> None:
    report = make(extractor, data, Records(tmp_path, images=True))
    rescale(tmp_path, "probe under pgd", 8, factor=1.1)
    with pytest.raises(IntegrityError, match=r"cases 8 to 16 hold images outside linf 0\.1"):
        again(report, extractor, data, tmp_path)


def test_a_task_with_several_cases_per_image(
    extractor: FeatureExtractor, data: tuple[Any, Any], tmp_path: Path
) -> None:
    attacks, records = {"pgd": ATTACKS["pgd"]}, Records(tmp_path, images=True)
    report = evaluate(
        extractor, ["anomaly"], *data, attacks, batch_size=64, examined=0, records=records, progress=False
    )
    assert recount(report, extractor, ["anomaly"], *data, attacks, tmp_path, progress=False) == []


def test_what_can_not_be_recounted(extractor: FeatureExtractor, data: tuple[Any, Any], tmp_path: Path) -> None:
    report = make(extractor, data, tmp_path / "plain")
    with pytest.raises(ValueError, match="holds no images"):
        again(report, extractor, data, tmp_path / "plain")
    with pytest.raises(FileNotFoundError, match="no records"):
        again(report, extractor, data, tmp_path / "nothing")
    make(extractor, data, Records(tmp_path / "kept", images=True))
    with pytest.raises(ValueError, match="test was"):
        again(report, extractor, (data[0], data[1].head(29)), tmp_path / "kept")
    next((tmp_path / "kept" / "retrieval map@r under curve").glob("000000016.*")).unlink()
    with pytest.raises(IntegrityError, match="has no batch 16; the evaluation is not finished"):
        again(report, extractor, data, tmp_path / "kept")


def test_two_halves_are_one_batch(
    extractor: FeatureExtractor, data: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = PGD.search

    def small(self: Attack, goal: Any, ball: Any, *rest: Any) -> None:
        if len(ball.origin) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        search(self, goal, ball, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(PGD, "search", small)
    report = make(extractor, data, Records(tmp_path, images=True))
    assert again(report, extractor, data, tmp_path) == []


def test_the_command_says_what_a_report_lacks(
    extractor: FeatureExtractor, data: tuple[Any, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reports of transfer, of the library, and of evaluate without records."""
    model, path = str(tmp_path / "model"), tmp_path / "report.json"
    hub.save(model, extractor.network, extractor.card)
    chosen = Evaluation(
        "digits", train="train[:100]", task=("probe",), attack=("fgsm",), eps=Eps(0.1), limit=30, examined=0
    )
    report = chosen.run(hub.load(model), records=tmp_path / "records", progress=False)
    by_evaluate = dataclasses.replace(chosen.setup(), model=model)
    elsewhere = {"torch": "2.14.1"}
    place = ["--records", str(tmp_path / "records")]
    for setup, machine, arguments, message in (
        (
            chosen.setup(),
            elsewhere,
            [],
            "say its records, model, device; give --records, --model, --device. Images are kept",
        ),
        (chosen.setup(), report.environment, ["--records", "r"], "does not say its model; give --model."),
        (
            chosen.setup(),
            elsewhere,
            [*place, "--model", model, "--device", "cpu"],
            "holds no images; evaluate with kept",
        ),
        (None, report.environment, [], "does not say its records, model"),
        (by_evaluate, report.environment, [], "does not say its records; give --records. Images are kept"),
        (by_evaluate, elsewhere, place, "does not say its device; give --device."),
        (None, report.environment, [*place, "--model", model], "does not say how it was measured. Images are kept"),
    ):
        dataclasses.replace(report, setup=setup, environment=machine).save(path)
        assert main(["recount", str(path), *arguments]) == 2
        assert message in capsys.readouterr().err
