"""The table of transfer against plain arithmetic, and the command that makes it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from robustfeat.command_line.cli import main
from robustfeat.evaluation import transfer
from robustfeat.evaluation.transfers_text import transfer_markdown, transfer_text
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.numerics.random import generator
from robustfeat.report import CaseKey, DataFacts, Report, Row, Sized, Splits, Title
from robustfeat.testing import small_network

N = 200


def report(model: str, data: str, robust: dict[str, float], clean: float = 0.9, attack: str = "PGD") -> Report:
    """Two tasks whose headline is a rate; the robust ones are the given shares of the first images."""
    rows, cases = [], {}
    for task, metric in (("probe", "accuracy"), ("retrieval", "recall@1")):
        if task not in robust:
            continue
        for name, rate in (("none", clean), ("pgd", robust[task])):
            hits = hits_of(rate, data)
            rows.append(Row(task, metric, name, None, "", float(hits.mean()), 0.0, 1.0, N, 1.0))
            cases[CaseKey(Title(task), metric, name)] = hits
        cases |= {CaseKey(Title(task), "rows"): torch.arange(N), CaseKey(Title(task), "targets"): torch.zeros(N)}
    return Report(
        model, Splits(test=DataFacts(data, N, data)), "linf 8/255", tuple(rows), {Sized("pgd"): attack}, cases=cases
    )


def hits_of(rate: float, data: str) -> Tensor:
    order = torch.randperm(N, generator=generator(130, sum(map(ord, data))))
    return (order < rate * N).float()


def model(name: str, *rates: float) -> dict[str, Report]:
    """Source probe, source retrieval, target probe."""
    return {
        "source": report(name, "source", {"probe": rates[0], "retrieval": rates[1]}),
        "target": report(name, "target", {"probe": rates[2]}),
    }


STUDENT, TEACHER, NATURAL = model("s", 0.5, 0.4, 0.3), model("t", 0.6, 0.5, 0.2), model("n", 0.05, 0.0, 0.1)


def test_every_number_by_hand() -> None:
    found = transfer([STUDENT], "source", teacher=TEACHER, natural=NATURAL)
    rows = {(row.data, row.task): row for row in found.rows}
    assert len(rows) == 3
    row = rows["source", "probe"]
    assert (row.clean, row.robust, row.n, row.metric) == (pytest.approx(0.9), 0.5, N, "accuracy")
    assert row.drop == pytest.approx(0.4)
    assert row.kept == pytest.approx(0.5 / 0.9)
    assert row.to_teacher == pytest.approx(0.5 / 0.6)
    assert row.to_natural == pytest.approx(10)
    assert rows["source", "retrieval"].to_natural is None, "a twin that withstands nothing"
    assert rows["target", "probe"].to_teacher == pytest.approx(1.5)
    (score,) = found.scores
    assert score.value == pytest.approx((0.5 / 0.6 + 0.4 / 0.5 + 0.3 / 0.2) / 3)
    assert score.low < score.value < score.high
    assert score.numbers == 3
    anchor = [0.5, 0.6, 0.05]
    expected = {("source", "retrieval"): [0.4, 0.5, 0.0], ("target", "probe"): [0.3, 0.2, 0.1]}
    for c in found.correlations:
        assert c.models == 3
        assert c.rho == pytest.approx(spearmanr(anchor, expected[c.data, c.task]).statistic)
    assert len(found.correlations) == 2


def test_the_interval_is_that_of_a_paired_bootstrap() -> None:
    """Nested successes: of the images the teacher withstands, the student withstands 0.5 / 0.6; the ratio's spread is known."""
    student, teacher = (
        {"source": report("s", "source", {"probe": 0.5})},
        {"source": report("t", "source", {"probe": 0.6})},
    )
    (score,) = transfer([student], "source", teacher=teacher).scores
    p = 0.5 / 0.6
    spread = 1.96 * np.sqrt(p * (1 - p) / (0.6 * N))
    assert score.low == pytest.approx(p - spread, abs=0.015)
    assert score.high == pytest.approx(p + spread, abs=0.015)


def test_the_same_model_is_its_own_measure() -> None:
    (score,) = transfer([TEACHER], "source", teacher=TEACHER).scores
    assert (score.value, score.low, score.high) == (1, 1, 1)


def test_without_teacher_and_with_few_models() -> None:
    found = transfer([STUDENT], "source")
    assert found.scores == ()
    assert found.correlations == ()
    assert all(row.to_teacher is None and row.to_natural is None for row in found.rows)
    assert "to teacher" in transfer_text(found)


def test_in_words() -> None:
    found = transfer([STUDENT], "source", teacher=TEACHER, natural=NATURAL)
    for text in (transfer_text(found), transfer_markdown(found)):
        assert "1.044 [" in text
        assert "of the teacher's robustness, mean of 3 numbers" in text
        assert "attack pgd: PGD" in text
        assert "robust target probe accuracy: +0.50 over 3 models" in text
    assert (
        "| s | source | probe | accuracy | 0.900 | 0.500 [0.000, 1.000] | 0.400 | 0.56 | 0.83 | 10.00 | 200 |"
        in transfer_markdown(found)
    )


def test_what_can_not_be_compared() -> None:
    with pytest.raises(ValueError, match="give at least one"):
        transfer([], "source")
    with pytest.raises(ValueError, match="no report on the source 'elsewhere'"):
        transfer([STUDENT], "elsewhere")
    with pytest.raises(ValueError, match="no report on 'target'"):
        transfer([STUDENT], "source", teacher={"source": TEACHER["source"]})
    other = {
        "source": report("o", "source", {"probe": 0.5}, attack="FGSM"),
        "target": report("o", "target", {"probe": 0.5}),
    }
    with pytest.raises(ValueError, match="needs one attack, the same for all"):
        transfer([STUDENT, other], "source")
    elsewhere = {"source": report("o", "images", {"probe": 0.5}), "target": report("o", "target", {"probe": 0.5})}
    with pytest.raises(ValueError, match="other images"):
        transfer([STUDENT, elsewhere], "source")
    nothing = model("zero", 0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="withstands nothing anywhere"):
        transfer([STUDENT], "source", teacher=nothing)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    for seed in range(3):
        network = small_network(seed, classes=10)
        hub.save(tmp_path / f"m{seed}", network, Card(f"m{seed}", network.architecture, network.feature_dim))
        names.append(str(tmp_path / f"m{seed}"))
    digits = tmp_path / "digits"
    command = [
        "transfer",
        names[0],
        "--source",
        "digits",
        "--target",
        "digits",
        "--teacher",
        names[1],
        "--natural",
        names[2],
    ]
    command += ["--task", "probe", "--task", "retrieval", "--attack", "fgsm", "--eps", "0.05", "--train", "train[:200]"]
    command += ["--limit", "30", "--out", str(digits), "--json"]
    assert main(command) == 0
    first = json.loads(capsys.readouterr().out)
    assert {row["task"] for row in first["rows"]} == {"probe", "retrieval"}
    assert first["scores"][0]["model"] == names[0]
    assert (digits / "transfer.md").read_text().startswith("# How robustness transfers")
    # Finished evaluations are not made again, and give the same numbers.
    monkeypatch.setattr("robustfeat.evaluation.evaluator", None)
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert main([*command, "--limit", "0"]) == 2


def test_tasks_that_have_learnt_from_other_images() -> None:
    one, other = (
        dataclasses.replace(found, data=dataclasses.replace(found.data, train=DataFacts("source", 9, found.model)))
        for found in (report(name, "source", {"probe": 0.5}) for name in "ab")
    )
    with pytest.raises(ValueError, match="have learnt from other images"):
        transfer([{"source": one}, {"source": other}], "source")


def test_a_teacher_among_the_models_counts_once() -> None:
    found = transfer([STUDENT, TEACHER], "source", teacher=TEACHER)
    assert found.correlations == (), "two models have no rank correlation"
