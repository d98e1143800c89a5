"""The command line: exit codes, and a user's mistake is one or two lines without a traceback."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import jaxtyping
import numpy as np
import pytest
import yaml
from datasets import ClassLabel, Features
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import load_file

from robustfeat import cli, hub
from robustfeat.card import Card
from robustfeat.commands import doctor
from robustfeat.errors import DivergedError, InterruptedTraining
from robustfeat.objectives import OBJECTIVES
from robustfeat.testing import small_network

SMALL = ("--student", "cnn_tiny", "--stem", "timm", "--max_steps", "1", "--batch_size", "8", "--steps", "1")
FAST = ("--train", "train[:40]", "--held_out", "train[40:50]", "--eval_steps", "1", "--channels_last", "false")


@pytest.fixture(autouse=True)
def _as_installed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Offline, with caches of its own, and without the shape checks of the tests, which would speak first."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("ROBUSTFEAT_DATA", raising=False)
    level = logging.getLogger("robustfeat").level
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
    logging.getLogger("robustfeat").setLevel(level)


def write_model(folder: Path, classes: int) -> Path:
    network = small_network(0, classes=classes)
    hub.save(folder, network, Card(folder.name, network.architecture, network.feature_dim))
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models ten/, four/, damaged/; images plain/ without labels; one.parquet with one of its two classes; config files."""
    folder = tmp_path_factory.mktemp("world")
    write_model(folder / "ten", 10)
    write_model(folder / "four", 4)
    weights = write_model(folder / "damaged", 10) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    random = np.random.default_rng(0)
    images = [Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)) for _ in range(8)]
    (folder / "plain").mkdir()
    for i, image in enumerate(images):
        image.save(folder / "plain" / f"{i}.png")
    features = Features({"img": datasets.Image(), "label": ClassLabel(names=["x", "y"])})
    table = datasets.Dataset.from_dict({"img": images, "label": [0] * 8}, features=features)
    table.to_parquet(str(folder / "one.parquet"))
    trap = folder / "trap"
    (folder / "evil.yaml").write_text(f"lr: !!python/object/apply:os.mkdir ['{trap}']\n")
    (folder / "evil2.yaml").write_text(f"lr: !!python/object/new:os.system ['mkdir {trap}']\n")
    (folder / "broken.yaml").write_text("lr: [1, 2\n")
    (folder / "foreign.yaml").write_text("learning_rate: 1\n")
    return folder


def run(*arguments: str | Path) -> int:
    """The exit code, also where the parser prints and exits by itself."""
    try:
        return cli.main([str(argument) for argument in arguments])
    except SystemExit as leaving:
        return int(leaving.code or 0)


def refused(capsys: pytest.CaptureFixture[str], code: int, *arguments: str | Path) -> str:
    """Run what must fail with this code; the one or two lines it says."""
    assert run(*arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert err.startswith("robustfeat: ")
    assert 1 <= len(err.strip().splitlines()) <= 2
    assert len(err) < 500
    return err


# Arguments, and what the message must say. {} is the folder of `world`.
MISTAKES = {
    "no command": ("", "expected"),
    "command": ("tarin", "invalid choice: 'tarin'"),
    "objective": ("train gcad --out {}/o", "invalid choice: 'gcad'"),
    "no objective": ("train", "was not provided"),
    "option": ("train natural --out {}/o --lrr 1", "--lrr"),
    "no out": ("train natural", "required: train.natural.out"),
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
    "config key": ("train natural --out {}/o --config {}/foreign.yaml", "an option that this command does not know"),
    "config key of evaluate": ("evaluate {}/ten --data digits --config {}/foreign.yaml", "learning_rate"),
    "no model": ("evaluate --data digits", "model"),
    "no data": ("evaluate {}/ten", "required: evaluate.data"),
    "model": ("evaluate resnet81 --data digits", "unknown model 'resnet81'"),
    "model folder": ("evaluate ./none --data digits", "no such model folder: './none'"),
    "not a model": ("evaluate {}/plain --data digits", "it is not a saved model"),
    "timm": ("extract timm:resnt18 --data digits --out {}/f", "did you mean 'resnet18'"),
    "data": ("evaluate {}/ten --data cifar11", "did you mean 'cifar10'"),
    "data path": ("evaluate {}/ten --data {}/none", "no such file or folder"),
    "task": ("evaluate {}/ten --data digits --task prob", "did you mean 'probe'"),
    "attack": ("evaluate {}/ten --data digits --attack pdg", "did you mean 'pgd'"),
    "norm": ("evaluate {}/ten --data digits --attack pgd --norm l3", "norm must be 'linf' or 'l2', got 'l3'"),
    "eps 0": ("evaluate {}/ten --data digits --eps 0", "must be a positive number"),
    "eps negative": ("evaluate {}/ten --data digits --eps=-8/255", "must be a positive number"),
    "eps word": ("evaluate {}/ten --data digits --eps word", "write a fraction like '8/255'"),
    "eps 0/0": ("evaluate {}/ten --data digits --eps 0/0", "write a fraction like '8/255'"),
    "steps": ("evaluate {}/ten --data digits --attack pgd --steps 0", "steps must be at least 1, got 0"),
    "limit": ("evaluate {}/ten --data digits --limit 0", "limit must be at least 1, got 0"),
    "batch": ("evaluate {}/ten --data digits --batch_size 0", "batch_size must be at least 1, got 0"),
    "device": ("evaluate {}/ten --data digits --device cudda", "device 'cudda' can not be used"),
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
    assert "the Hub can not be reached" in refused(capsys, 4, *images)
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


@pytest.mark.parametrize("name", ["evil.yaml", "evil2.yaml"])
@pytest.mark.parametrize("command", [("train", "natural", "--out", "o"), ("evaluate", "x", "--data", "digits")])
def test_configs_can_not_run_code(
    world: Path, name: str, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "could not determine a constructor" in refused(capsys, 2, *command, "--config", world / name)
    assert not (world / "trap").exists()


def test_a_printed_config_reads_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def printed(*flags: str) -> dict[str, object]:
        assert run("train", "gacd", *flags, "--print_config") == 0
        return yaml.safe_load(capsys.readouterr().out)

    path = tmp_path / "run.yaml"
    flags = "--tau 0.3 --eps 4/255 --step_size 0.01 --minutes 2.5 --stem cifar --flip no --bank 8"
    first = printed(*flags.split())
    expected = {
        "tau": 0.3,
        "eps": "4/255",
        "step_size": "0.01",
        "minutes": 2.5,
        "stem": "cifar",
        "flip": False,
        "bank": 8,
    }
    assert first.items() >= expected.items()
    path.write_text(yaml.safe_dump(first))
    assert printed("--config", str(path)) == first
    assert printed("--config", str(path), "--eps", "2/255") == first | {"eps": "2/255"}


COMMANDS = [(name,) for name in cli.find_commands()] + [("train", name) for name in OBJECTIVES]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_an_example(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*command, "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"example: robustfeat {command[0]}" in text


def test_help_lists_the_commands_and_objectives(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    text = capsys.readouterr().out
    assert all(f"    {name} " in text for name in ("demo", "doctor", "evaluate", "extract", "models", "show", "train"))
    assert run("train", "--help") == 0
    text = capsys.readouterr().out
    assert all(f"    {name} " in text for name in OBJECTIVES)


@pytest.mark.parametrize("spell", [lambda f: f, lambda f: f.replace("_", "-")], ids=["_", "-"])
@pytest.mark.parametrize("join", [lambda f, v: [f, v], lambda f, v: [f"{f}={v}"]], ids=["space", "="])
def test_dashes_and_underscores_are_the_same(
    spell: Callable[[str], str], join: Callable[[str, str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"--log_steps": "7", "--held_out": "train[90%:]", "--teacher": "my-runs/a_b-c", "--eps_warmup": "0.5"}
    flags = [part for flag, value in values.items() for part in join(spell(flag), value)]
    assert run("train", "gacd", *flags, spell("--print_config")) == 0
    lines = capsys.readouterr().out.splitlines()
    for line in ("log_steps: 7", "held_out: train[90%:]", "teacher: my-runs/a_b-c", "eps_warmup: 0.5"):
        assert line in lines


def test_show(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", world / "ten") == 0
    assert capsys.readouterr().out.startswith("# ten\n")
    assert run("show", world / "ten", "--json") == 0
    assert json.loads(capsys.readouterr().out)["architecture"]["name"] == "cnn_tiny"


def test_models(world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(hub, "_published", lambda: world)
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
    assert report["attacks"] == {"fgsm": "FGSM(threat=Threat(norm='linf', eps=16/255), climb='ce')"}
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
    assert hub.load(tmp_path / "run").card.weights == result["weights"]
    assert "holds a run already" in refused(capsys, 2, *command)
    assert run(*command, "--resume") == 0
    assert "best weights: " in capsys.readouterr().out
