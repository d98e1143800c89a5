"""The command line: what each command prints and writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_runs import FAST, SMALL, refused, run
from safetensors.torch import load_file

import robustfeat
from robustfeat.command_line import doctor
from robustfeat.features import hub, read_features, shipped
from robustfeat.features.parts import Weights


def test_show(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", world / "ten") == 0
    assert capsys.readouterr().out.startswith("# ten\n")
    assert run("show", world / "ten", "--json") == 0
    assert json.loads(capsys.readouterr().out)["architecture"]["name"] == "cnn_tiny"


def test_models(world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(shipped, "home", lambda: world)
    assert run("models") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["damaged", "four", "ten"]
    assert run("models", "--json") == 0
    assert json.loads(capsys.readouterr().out) == ["damaged", "four", "ten"]


def test_doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor, "doctor", lambda: {"python": "3", "self-test": "passed"})
    assert run("doctor", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"python": "3", "self-test": "passed"}


def test_extract(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "features.safetensors"
    command = ("extract", world / "ten", "--data", "digits", "--split", "test[:7]", "--out", out, "--batch-size", "3")
    assert run(*command) == 0
    assert capsys.readouterr().out == f"7 x 256 features in {out}\n"
    assert load_file(out)["features"].shape == (7, 256)
    assert run(*command, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(out), "images": 7, "feature_dim": 256}


def test_extract_shards(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("extract", world / "ten", "--data", "digits", "--split", "test[:7]", "--precision", "float16")
    parts = []
    for shard in ("1/2", "2/2"):
        assert run(*command, "--out", f"{tmp_path}/parts/", "--shard", shard, "--json") == 0
        parts.append(json.loads(capsys.readouterr().out))
    files = [str(tmp_path / "parts" / f"part-{number}-of-2.parquet") for number in (1, 2)]
    assert [(part["file"], part["images"]) for part in parts] == [(files[0], 3), (files[1], 4)]
    assert run(*command, "--out", tmp_path / "whole.parquet") == 0
    whole, joined = read_features(tmp_path / "whole.parquet"), read_features(tmp_path / "parts")
    assert joined.features.dtype == np.float16
    assert np.allclose(joined.features, whole.features, atol=1e-2)
    assert joined.digest == robustfeat.load(world / "ten").digest()


def test_evaluate(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = (
        "evaluate",
        world / "ten",
        "--data",
        "digits",
        "--train",
        "train[:60]",
        "--limit",
        "12",
        "--task",
        "retrieval",
    )
    attack = ("--attack", "fgsm", "--eps", "16/255", "--out", tmp_path / "report.json")
    assert run(*command, *attack, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((tmp_path / "report.json").read_text())
    assert [one["configuration"] for one in report["attacks"]] == [
        "FGSM(threat=Threat(norm='linf', eps=16/255), climb=None)"
    ]
    assert {run["configuration"].rpartition("climb=")[2] for run in report["runs"]} == {"'margin')", "'precision')"}
    assert {row["attack"] for row in report["rows"]} == {"none", "fgsm"}
    assert {row["n"] for row in report["rows"]} == {12}
    assert run(*command) == 0
    assert "recall@1" in capsys.readouterr().out


def test_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("train", "natural", "--data", "digits", "--out", tmp_path / "run", *SMALL, *FAST)
    assert run(*command, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["model"] == str(tmp_path / "run" / "best")
    assert result["training"]["step"] == 1
    assert hub.load(tmp_path / "run").card.weights == Weights.from_dict(result["weights"])
    assert "holds a run already" in refused(capsys, 2, *command)
    assert run(*command, "--resume") == 0
    assert "best weights: " in capsys.readouterr().out
