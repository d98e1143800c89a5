"""Published numbers come out again for the model they are of, and not for another one; without crying wolf."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from published_model import changed

import robustfeat
from robustfeat.command_line.cli import main
from robustfeat.features import hub
from robustfeat.publishing import remeasured as reproduce
from robustfeat.runtime.errors import IntegrityError
from robustfeat.testing import small_network


@pytest.fixture
def wrong(published: Path, tmp_path: Path) -> Path:
    """The card of that model, with the weights of another one."""
    card = hub.read_card(published)
    hub.save(tmp_path / "wrong", small_network(1, classes=10), dataclasses.replace(card, name="wrong"))
    return tmp_path / "wrong"


def test_all_images_give_the_same_numbers(published: Path, tmp_path: Path) -> None:
    """Every number, of every report, metric, attack and size; and once more from the kept batches."""
    found = reproduce.quick(str(published), limit=500, minutes=60, out=tmp_path / "out")
    rows = [row for report in hub.read_card(published).reports for row in report.rows]
    assert [number.published for number in found.numbers] == rows
    assert {(row.attack, row.eps, row.column) for row in rows} >= {
        ("none", None, ""), ("fgsm", 0.05, ""), ("pgd", 0.05, "normal"), ("pgd", 0.02, ""), ("pgd", 0.05, ""),
    }  # fmt: skip
    for number in found.numbers:
        assert number.low is not None
        assert dataclasses.replace(number.found, seconds=number.published.seconds) == number.published
        assert not number.outside
    assert found.agrees
    assert found.same_features is True
    assert found.notes == ()
    kept = sorted((tmp_path / "out" / "records").rglob("*.safetensors"))
    assert kept
    times = [path.stat().st_mtime_ns for path in kept]
    again = reproduce.quick(str(published), limit=500, minutes=60, out=tmp_path / "out")
    assert [n.found.value for n in again.numbers] == [n.found.value for n in found.numbers]
    assert [path.stat().st_mtime_ns for path in kept] == times, "finished batches are not made again"


def test_a_sample_of_the_right_model_agrees(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", str(published), "--quick", "--limit", "30"]) == 0
    out, err = capsys.readouterr()
    assert "digits: retrieval, clean, fgsm, pgd" in err
    lines = [line.split() for line in out.splitlines() if line.startswith("digits")]
    assert [line[-1] for line in lines] == ["inside"] * len(lines)
    card = hub.read_card(published)
    value = card.reports[0].value("probe", "accuracy", "pgd")
    (line,) = [line for line in lines if line[1:4] == ["probe", "accuracy", "pgd"]]
    assert line[4:6] == [f"{value:.3f}", "120"]
    assert line[7] == "30"
    assert "aupr-normal" not in [line[2] for line in lines], "it depends on how many images there are"
    assert "aupr, aupr-normal, tnr@95: depend on how many images there are" in out
    assert "two synthetic images: the features of the card" in out
    assert "numbers compared, 0 outside" in out


def test_another_model_does_not(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", str(wrong), "--quick", "--limit", "60", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["same_features"] is False
    assert found["agrees"] is False
    outside = {(n["published"]["task"], n["published"]["attack"]) for n in found["numbers"] if n["outside"]}
    assert ("probe", "pgd") in outside
    assert ("head", "none") in outside, "the other reports are looked at as well"
    for n in found["numbers"]:
        assert n["outside"] == (n["low"] is not None and not n["low"] <= n["found"]["value"] <= n["high"])
    assert main(["reproduce", str(wrong), "--quick", "--limit", "60", "--minutes", "0"]) == 1
    assert "OUTSIDE" in capsys.readouterr().out


def test_numbers_that_were_made_up_are_found(published: Path, tmp_path: Path) -> None:
    """Of the right weights: one number is two images better than it is, which is slack (1 % of 120), or three."""
    report = hub.read_card(published).reports[0]
    place = next(i for i, row in enumerate(report.rows) if (row.task, row.attack) == ("probe", "pgd"))
    for images, agrees in ((2, True), (3, False)):
        rows = list(report.rows)
        rows[place] = dataclasses.replace(rows[place], value=rows[place].value + images / 120)
        folder = changed(published, tmp_path / "model", reports=(dataclasses.replace(report, rows=tuple(rows)),))
        assert reproduce.quick(str(folder), limit=120).agrees is agrees


def test_other_images_are_refused(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = hub.read_card(published).reports[0]
    for kind in ("train", "test"):
        other = dataclasses.replace(getattr(report.data, kind), fingerprint="f" * 64)
        data = dataclasses.replace(report.data, **{kind: other})
        folder = changed(published, tmp_path / "model", reports=(dataclasses.replace(report, data=data),))
        with pytest.raises(IntegrityError, match=f"the {kind} images of 'digits' here .* are not those that were used"):
            reproduce.quick(str(folder), limit=20)
        with pytest.raises(IntegrityError, match=f"the {kind} images"):
            reproduce.full(str(folder), tmp_path / "out")
    assert not (tmp_path / "out").exists(), "nothing was trained for it"
    assert main(["reproduce", str(folder), "--quick"]) == 3
    capsys.readouterr()


def test_what_a_user_can_get_wrong(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, other, *_ = hub.read_card(published).reports
    silent = dataclasses.replace(report, setup=None)
    bare = changed(published, tmp_path / "bare", reports=(silent,))
    for arguments, message in (
        ([str(published)], "either --quick or --full"),
        ([str(published), "--quick", "--full"], "either --quick or --full"),
        ([str(published), "--full"], "give one with --out"),
        ([str(published), "--quick", "--limit", "0"], "limit must be at least 1"),
        ([str(published), "--quick", "--minutes", "-1"], "minutes not negative"),
        ([str(published), "--full", "--out", "x", "--spread=-1"], "spread must not be negative"),
        ([str(published), "--full", "--out", str(tmp_path / "x"), "--limit", "0"], "limit must be at least 1, got 0"),
        ([str(bare), "--quick"], "no published numbers that say how they were measured"),
        (["no-such-model", "--quick"], "unknown model 'no-such-model'"),
    ):
        assert main(["reproduce", *arguments]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "x").exists(), "nothing was trained for it"
    changed(published, bare, reports=(other, silent), recipe=None)
    assert reproduce.quick(str(bare), limit=20, minutes=0).notes[-1] == (
        "left out: a report on digits that does not say how it was made"
    )
    assert main(["reproduce", str(bare), "--full", "--out", str(tmp_path / "o")]) == 2
    assert "there is no recipe to repeat" in capsys.readouterr().err


@pytest.mark.parametrize("name", [*robustfeat.models(), None])
def test_published_models_have_the_features_that_they_had(name: str | None, published: Path) -> None:
    """None is a model that was published just now, so that there is a case."""
    extractor = robustfeat.load(published if name is None else name)
    assert reproduce.same_features(extractor)


def test_a_model_without_a_fixture_is_measured_all_the_same(published: Path, tmp_path: Path) -> None:
    found = reproduce.quick(str(changed(published, tmp_path / "model", fixture=None)), limit=20, minutes=0)
    assert found.same_features is None
    assert found.agrees


def test_nothing_of_this_touches_the_model(published: Path) -> None:
    before = {path.name: path.read_bytes() for path in published.iterdir()}
    state = torch.get_rng_state()
    reproduce.quick(str(published), limit=20, minutes=0)
    assert {path.name: path.read_bytes() for path in published.iterdir()} == before
    assert torch.equal(torch.get_rng_state(), state)
