"""The tables of published models: what is in the repository is what the cards say."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

import pytest

from robustfeat import hub
from robustfeat.architecture import Architecture
from robustfeat.attacks.health import Flag
from robustfeat.card import Card
from robustfeat.cli import main
from robustfeat.report import Ran, Report
from robustfeat.results import END, START, page, published, readme, table, write
from robustfeat.types import Row

ROOT = Path(__file__).resolve().parent.parent
FLAG = Flag("zero gradients", 0.5, 0.02, "of the images")


def report(
    data: str, numbers: dict[str, float], n: int = 1000, flagged: str = "", threat: str = "linf 8/255"
) -> Report:
    """numbers: "task metric attack" -> value; the interval is a hundredth to each side."""
    places = {tuple(text.split()): value for text, value in numbers.items()}
    rows = tuple(Row(*place, value, value - 0.01, value + 0.01, n, 1.0) for place, value in places.items())
    attacks = {attack: f"{attack}(eps=8/255)" for _, _, attack in places if attack != "none"}
    runs = tuple(
        Ran(task, "", attack, f"{attack} on {task}", 9, 9, 0, 0, 1.0, (FLAG,) if attack == flagged else (), examined=16)
        for task, _, attack in places
        if attack != "none"
    )
    facts = {"train": {"name": data, "images": 50_000}, "test": {"name": data, "images": n}}
    return Report("m", facts, threat, rows, attacks=attacks, runs=runs)


def card(name: str, *reports: Report, threat: str = "linf 8/255", teacher: str = "", minutes: float = 132.4) -> Card:
    return Card(
        name,
        Architecture("resnet18"),
        512,
        threat=threat,
        data={"name": "cifar10"},
        teacher={"name": teacher} if teacher else {},
        training={"minutes": minutes},
        reports=reports,
    )


TEACHER = card(
    "z-teacher",
    report("digits", {"probe accuracy none": 0.9, "probe accuracy fast": 0.7}, n=500),
    report(
        "cifar10",
        {
            "probe accuracy none": 0.8,
            "probe accuracy fast": 0.5,
            "probe accuracy standard": 0.45,
            "probe recall@1 none": 0.111,
            "head accuracy none": 0.82,
            "head accuracy standard": 0.47,
            "anomaly auroc none": 0.93,
            "anomaly auroc standard": 0.63,
            "anomaly auroc pgd": 0.65,
        },
    ),
    report("cifar10", {"probe accuracy none": 0.99, "probe accuracy apgd@2/255": 0.98}, n=300),
)
STUDENT = card(
    "a-student",
    report("cifar10", {"probe accuracy none": 0.78, "probe accuracy fast": 0.48, "probe accuracy standard": 0.44}),
    report("digits", {"probe accuracy none": 0.91, "probe accuracy pgd": 0.6, "probe accuracy fast": 0.69}, n=400),
    teacher="z-teacher",
    minutes=95.6,
)
NATURAL = card(
    "natural",
    report("cifar10", {"probe accuracy none": 0.95, "probe accuracy standard": 0.01}, flagged="standard"),
    threat="none",
)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def by_model(text: str, data: str) -> dict[str, dict[str, str]]:
    """Model -> column -> cell, of the table of one data set."""
    (part,) = [part for part in re.split(r"^(?=\*\*)", text, flags=re.MULTILINE) if part.startswith(f"**{data}**")]
    header, _, *lines = [cells(line) for line in part.splitlines() if line.startswith("|")]
    return {line[0]: dict(zip(header, line, strict=True)) for line in lines}


def save(folder: Path, *cards: Card) -> Path:
    for each in cards:
        (folder / each.name).mkdir(parents=True)
        (folder / each.name / "card.json").write_text(each.to_json())
    return folder


def test_the_repository_says_what_its_cards_say() -> None:
    """Where this fails: `make results`."""
    cards = published(ROOT / "pretrained")
    assert (ROOT / "docs" / "results.md").read_text() == page(cards)
    text = (ROOT / "README.md").read_text()
    assert text == readme(text, cards)
    assert [each.name for each in cards] == [each.name for each in published()]
    assert sorted(each.name for each in cards) == hub.models()
    for each in cards:
        assert (ROOT / "pretrained" / each.name / "README.md").read_text() == each.readme()


def test_teachers_come_first_and_natural_models_last(tmp_path: Path) -> None:
    models = save(tmp_path, NATURAL, STUDENT, TEACHER)
    assert [each.name for each in published(models)] == ["z-teacher", "a-student", "natural"]


def test_every_number_is_where_it_belongs() -> None:
    text = table([TEACHER, STUDENT, NATURAL], root="")
    first = by_model(text, "cifar10")
    teacher, student, natural = first.values()
    assert list(first) == [f"[{name}](pretrained/{name}/README.md)" for name in ("z-teacher", "a-student", "natural")]
    assert {key: teacher[key] for key in ("architecture", "features", "training")} == {
        "architecture": "resnet18",
        "features": "512",
        "training": "132 min",
    }
    assert student["training"] == "96 min"
    assert list(teacher)[4:] == [
        *("head accuracy, clean", "head accuracy, standard", "probe accuracy, clean", "probe accuracy, standard"),
        *("anomaly auroc, clean", "anomaly auroc, standard"),
    ], (
        "the attack is the one that all have, and of several the one that leaves least; a curve and other metrics stay out"
    )
    assert list(teacher.values())[4:] == ["0.820", "0.470", "0.800", "0.450", "0.930", "0.630"]
    assert list(student.values())[4:] == ["", "", "0.780", "0.440", "", ""]
    assert list(natural.values())[4:] == ["", "", "0.950", "0.010 (!)", "", ""]
    assert "n = 1,000, threat linf 8/255" in text
    assert text.count("(!) The attack showed signs of failure") == 1

    second = by_model(text, "digits")
    assert [list(line.values())[1:] for line in second.values()] == [["0.900", "0.700"], ["0.910", "0.690"], ["", ""]]
    assert list(next(iter(second.values()))) == ["model", "probe accuracy, clean", "probe accuracy, fast"]
    assert text.index("**cifar10**") < text.index("**digits**, n = 400 to 500"), "the data of training first"


def test_intervals_and_what_ran_are_in_the_docs_only() -> None:
    text = page([TEACHER, STUDENT])
    line = by_model(text, "cifar10")["[z-teacher](../pretrained/z-teacher/README.md)"]
    assert line["probe accuracy, standard"] == "0.450 [0.440, 0.460]"
    assert text.count("- standard on probe: `standard on probe`") == 1
    assert "0.450 [" not in table([TEACHER, STUDENT])
    assert "standard on probe" not in table([TEACHER, STUDENT])


L2, SMALL, CURVE = "l2 128/255", "linf 4/255", "linf 2/255, linf 8/255"
THREATS = card(
    "two-threats",
    report("cifar10", {"probe accuracy none": 0.8, "probe accuracy fast": 0.5}),
    report("cifar10", {"probe accuracy none": 0.81, "probe accuracy fast": 0.6}, n=2000, threat=SMALL),
    report("cifar10", {"probe accuracy fast": 0.7, "probe accuracy pgd": 0.65}, n=3000, threat=L2),
    report("cifar10", {"probe accuracy pgd@2/255": 0.9}, n=4000, threat=CURVE),
)


def test_numbers_of_different_threats_are_kept_apart() -> None:
    """Shown are the threats that models were trained for, each in a column of its own; clean numbers have none."""
    text = table([THREATS])
    (line,) = by_model(text, "cifar10").values()
    assert list(line.items())[4:] == [("probe accuracy, clean", "0.810"), ("probe accuracy, fast", "0.500")]
    assert "threat linf 8/255:" in text

    other = card("other", report("cifar10", {"probe accuracy pgd": 0.66}, threat=L2), threat=L2)
    text = table([THREATS, other])
    first, second = by_model(text, "cifar10").values()
    titles = ["probe accuracy, clean", "probe accuracy, fast linf 8/255", f"probe accuracy, pgd {L2}"]
    assert list(first.items())[4:] == list(zip(titles, ["0.810", "0.500", "0.650"], strict=True))
    assert list(second.items())[4:] == list(zip(titles, ["", "", "0.660"], strict=True))

    natural = dataclasses.replace(THREATS, threat="none")
    (line,) = by_model(table([natural]), "cifar10").values()
    assert [title for title in line if "accuracy, " in title][1:] == [
        f"probe accuracy, {name}" for name in ("fast linf 8/255", f"fast {SMALL}", f"pgd {L2}")
    ], "where no model was trained for any, all are shown"


def test_numbers_on_other_features_stay_out() -> None:
    patches = report("cifar10", {"probe accuracy none": 0.99}, n=9000)
    both = card("m", *STUDENT.reports, dataclasses.replace(patches, setup={"patches": True}))
    assert "0.990" not in table([both])


def test_no_model_is_a_sentence() -> None:
    assert table([]) == "No model is published with this version yet."
    assert table([]) in page([])


def test_a_model_without_numbers_has_a_line_all_the_same() -> None:
    text = table([card("bare")])
    assert text.startswith("**cifar10**, not measured:")
    (line,) = by_model(text, "cifar10").values()
    assert list(line.values())[1:] == ["resnet18", "512", "132 min"]


def test_a_checkout_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "pretrained", TEACHER)
    text = f"# Title\n\nbefore\n\n{START}\nold\n{END}\n\nafter\n"
    (tmp_path / "README.md").write_text(text)
    assert main(["results", "--write", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "docs" / "results.md"), str(tmp_path / "README.md")]
    written = (tmp_path / "README.md").read_text()
    assert written == f"# Title\n\nbefore\n\n{START}\n\n{table([TEACHER])}\n\n{END}\n\nafter\n"
    assert (tmp_path / "docs" / "results.md").read_text() == page([TEACHER])
    write(tmp_path)
    assert (tmp_path / "README.md").read_text() == written, "twice is once"
    save(tmp_path / "pretrained", STUDENT)
    assert readme(written, published(tmp_path / "pretrained")) != written, "a new card is noticed"


@pytest.mark.parametrize("text", ["", START, END, f"{END}\n{START}"])
def test_a_readme_without_a_place_stays_as_it_is(text: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(text)
    with pytest.raises(ValueError, match="has no place for the results"):
        write(tmp_path)
    assert (tmp_path / "README.md").read_text() == text
    assert not (tmp_path / "docs").exists()


def test_the_command_prints_the_models_that_load_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path, NATURAL, TEACHER)
    monkeypatch.setattr(hub, "_published", lambda: tmp_path)
    assert main(["results"]) == 0
    assert capsys.readouterr().out == table([TEACHER, NATURAL]) + "\n"
    shutil.rmtree(tmp_path / "natural")
    shutil.rmtree(tmp_path / "z-teacher")
    assert main(["results"]) == 0
    assert "No model is published" in capsys.readouterr().out


def test_an_unchecked_number_is_marked() -> None:
    (main_report,) = NATURAL.reports
    unchecked = dataclasses.replace(main_report, runs=())
    assert "0.010 (!)" in table([dataclasses.replace(NATURAL, reports=(unchecked,))])
    checked = tuple(dataclasses.replace(run, flags=()) for run in main_report.runs)
    assert "(!)" not in table([dataclasses.replace(NATURAL, reports=(dataclasses.replace(main_report, runs=checked),))])
