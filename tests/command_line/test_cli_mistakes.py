"""The command line: exit codes, and a user's mistake is one or two lines without a traceback."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_runs import SMALL, refused, run

from robustfeat.command_line import doctor
from robustfeat.runtime.errors import DivergedError, InterruptedTraining

# Arguments, and what the message must say. {} is the folder of `world`.
MISTAKES = {
    "no command": ("", "the command is missing"),
    "command": ("tarin", "unknown command 'tarin'; did you mean 'train'"),
    "objective": ("train gcad --out {}/o", "unknown objective 'gcad'; did you mean 'gacd'"),
    "no objective": ("train", "the objective is missing"),
    "option": ("train natural --out {}/o --lrr 1", "--lrr"),
    "no out": ("train natural", "required: out"),
    "type": ("train natural --out {}/o --lr fast", "lr"),
    "choice": ("train natural --out {}/o --schedule cos", "onecycle"),
    "range": ("train natural --out {}/o --lr 0", "lr must be greater than 0, got 0.0"),
    "recipe": ("train natural --out {}/o --batch_size 5 --accumulate 2", "batch_size 5"),
    "train data": ("train natural --out {}/o --data digit", "did you mean 'digits'"),
    "student": ("train natural --out {}/o --student resnt18", "did you mean 'resnet18'"),
    "train without labels": ("train natural --out {}/o --data {}/plain SMALL", "labels"),
    "train on one class": ("train natural --out {}/o --data {}/one.parquet SMALL", "has one class only"),
    "train on nothing": ("train natural --out {}/o --train train[5:5] SMALL", "split train[5:5] of 1297 rows is empty"),
    "train split": ("train natural --out {}/o --train train[5 SMALL", "split 'train[5' is not understood"),
    "train eps 0": ("train at --out {}/o --eps 0", "must be a positive number"),
    "no teacher": ("train gacd --out {}/o SMALL", "give a model folder or name as teacher"),
    "teacher": ("train gacd --out {}/o --teacher {}/none SMALL", "no such model folder"),
    "teacher classes": ("train gacd --out {}/o --teacher {}/four SMALL", "teacher knows 4 classes and the data has 10"),
    "config": ("train natural --out {}/o --config {}/none.yaml", "none.yaml"),
    "config syntax": ("train natural --out {}/o --config {}/broken.yaml", "config"),
    "config key": ("train natural --out {}/o --config {}/foreign.yaml", "'learning_rate' is not accepted"),
    "config key of evaluate": ("evaluate {}/ten --data digits --config {}/foreign.yaml", "learning_rate"),
    "no model": ("evaluate --data digits", "model"),
    "no data": ("evaluate {}/ten", "required: data"),
    "model": ("evaluate resnet81 --data digits", "unknown model 'resnet81'"),
    "model folder": ("evaluate ./none --data digits", "no such model folder: './none'"),
    "not a model": ("evaluate {}/plain --data digits", "it is not a saved model"),
    "timm": ("extract timm:resnt18 --data digits --out {}/f", "did you mean 'resnet18'"),
    "data": ("evaluate {}/ten --data cifar11", "did you mean 'cifar10'"),
    "data path": ("evaluate {}/ten --data {}/none", "no such file or folder"),
    "task": ("evaluate {}/ten --data digits --task prob", "did you mean 'probe'"),
    "attack": ("evaluate {}/ten --data digits --attack pdg", "did you mean 'pgd'"),
    "norm": ("evaluate {}/ten --data digits --attack pgd --norm l3", "Expected a typing.Literal['linf', 'l2']. Got value: l3"),
    "eps 0": ("evaluate {}/ten --data digits --eps 0", "must be a positive number"),
    "eps negative": ("evaluate {}/ten --data digits --eps=-8/255", "must be a positive number"),
    "eps word": ("evaluate {}/ten --data digits --eps word", "write a fraction like '8/255'"),
    "eps 0/0": ("evaluate {}/ten --data digits --eps 0/0", "write a fraction like '8/255'"),
    "steps": ("evaluate {}/ten --data digits --attack pgd --steps 0", "steps must be at least 1, got 0"),
    "limit": ("evaluate {}/ten --data digits --limit 0", "limit must be at least 1, got 0"),
    "batch": ("evaluate {}/ten --data digits --batch_size 0", "batch_size must be at least 1, got 0"),
    "device": ("evaluate {}/ten --data digits --device cudda", "device 'cudda' cannot be used"),
    "without labels": ("evaluate {}/ten --data {}/plain --train train[:5] --test train[5:]", "has no labels"),
    "one class": (
        "evaluate {}/ten --data {}/one.parquet --train train[:5] --test train[5:] --task probe",
        "at least two classes",
    ),
    "no splits": ("evaluate {}/ten --data {}/one.parquet", "has no splits, so it is all 'train'"),
    "train is test": ("evaluate {}/ten --data digits --train test", "train and test are the same images of 'digits'"),
    "split": ("evaluate {}/ten --data digits --test tset", "did you mean 'test'"),
    "split text": ("evaluate {}/ten --data digits --train train:5", "split 'train:5' is not understood"),
    "empty split": ("evaluate {}/ten --data digits --test test[9:9]", "split test[9:9] of 500 rows is empty"),
    "show": ("show none", "unknown model 'none'"),
    "out is a folder": ("extract {}/ten --data digits --split test[:5] --out {}/plain", "is a folder"),
    "shard": ("extract {}/ten --data digits --shard 0/3 --out {}/parts", "shard 0/3 is none of 1/3 to 3/3; count from 1"),
    "shard text": ("extract {}/ten --data digits --shard 2 --out {}/parts", "shard must be i/n, such as 2/8"),
    "shard into a file": ("extract {}/ten --data digits --shard 1/2 --out {}/f.parquet", "is no folder"),
    "precision": ("extract {}/ten --data digits --precision int8 --out {}/f.parquet", "float16"),
    "flag of another command": ("models --eps 8/255", "--eps"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(name: str, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, message = MISTAKES[name]
    arguments = text.replace("{}", str(world)).replace("SMALL", " ".join(SMALL)).split()
    assert message in refused(capsys, 2, *arguments)
    assert not (world / "o" / "best").exists()


def test_a_run_is_not_overwritten(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "checkpoints").mkdir()
    assert "holds a run already; resume it" in refused(capsys, 2, "train", "natural", "--out", tmp_path, *SMALL)


@pytest.mark.parametrize(
    "arguments",
    ["extract {} --data digits --out {}/f", "evaluate {} --data digits", "train gacd --teacher {} --out {}/o"],
)
def test_damaged_weights_are_3(arguments: str, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = arguments.replace("{}", str(world / "damaged"))
    assert "is damaged: its sha256" in refused(capsys, 3, *arguments.split())


def test_a_damaged_card_is_3(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shutil.copytree(world / "ten", tmp_path / "model")
    (folder / "card.json").write_text("{")
    assert "card.json is not a valid card" in refused(capsys, 3, "show", folder)


def test_what_needs_the_network_is_4(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = ("extract", "timm:resnet18.a1_in1k", "--data", "digits", "--out", tmp_path / "f")
    assert "weights 'resnet18.a1_in1k' are not in the cache" in refused(capsys, 4, *weights)
    images = ("extract", world / "ten", "--data", "cifar10", "--out", tmp_path / "f")
    assert "the Hub cannot be reached" in refused(capsys, 4, *images)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (InterruptedTraining("saved at step 7"), 130, "saved at step 7"),
        (RuntimeError("boom"), 1, "RuntimeError: boom"),
        (DivergedError("term became nan"), 1, "term became nan"),
        (MemoryError(), 1, "MemoryError"),
        (PermissionError(13, "Permission denied", "file"), 1, "Permission denied: 'file'"),
    ],
)
def test_codes_of_errors(
    error: BaseException, code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(doctor, "doctor", fail)
    assert message in refused(capsys, code, "doctor")


def test_debug_adds_the_traceback(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--debug", "show", "none") == 2
    assert "unknown model 'none'" in capsys.readouterr().err
    assert "Traceback" in caplog.text
