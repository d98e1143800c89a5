"""The tables of published models: every number is in its place, and marked where it may flatter."""

from __future__ import annotations

import dataclasses
import re

from result_cards import NATURAL, STUDENT, TEACHER, card, report

from robustfeat.publishing.results import page, summary, table
from robustfeat.report import Setup


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def by_model(text: str, data: str) -> dict[str, dict[str, str]]:
    """Model -> column -> cell, of the table of one data set."""
    (part,) = [part for part in re.split(r"^(?=\*\*)", text, flags=re.MULTILINE) if part.startswith(f"**{data}**")]
    header, _, *lines = [cells(line) for line in part.splitlines() if line.startswith("|")]
    return {line[0]: dict(zip(header, line, strict=True)) for line in lines}


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
    line = by_model(text, "cifar10")["[z-teacher](../../pretrained/z-teacher/README.md)"]
    assert line["probe accuracy, standard"] == "0.450 [0.440, 0.460]"
    assert text.count("- standard on probe: `standard on probe`") == 1
    assert "0.450 [" not in table([TEACHER, STUDENT])
    assert "standard on probe" not in table([TEACHER, STUDENT])


def test_the_summary_has_the_numbers_of_one_data_set_alone() -> None:
    """It is the first table less the columns that say what a model is: they are on the model's page."""
    text = summary([TEACHER, STUDENT, NATURAL])
    assert "digits" not in text
    assert text.count("\n|---") == 1
    facts = {"architecture", "features", "training"}
    whole = by_model(table([TEACHER, STUDENT, NATURAL]), "cifar10")
    assert by_model(text, "cifar10") == {
        name: {title: value for title, value in line.items() if title not in facts} for name, line in whole.items()
    }
    assert "(!) The attack showed signs of failure" in text
    assert summary([]) == table([])
    assert summary([card("bare")]).splitlines()[-1] == "| [bare](pretrained/bare/README.md) |"


L2, SMALL, CURVE = "l2 128/255", "linf 4/255", "linf 2/255, linf 8/255"
THREATS = card(
    "two-threats",
    report("cifar10", {"probe accuracy none": 0.8, "probe accuracy fast": 0.5}),
    report("cifar10", {"probe accuracy none": 0.81, "probe accuracy fast": 0.6}, n=2000, threat=SMALL),
    report("cifar10", {"probe accuracy fast": 0.7, "probe accuracy pgd": 0.65}, n=3000, threat=L2),
    report("cifar10", {"probe accuracy pgd 2/255": 0.9, "probe accuracy pgd 8/255": 0.8}, n=4000, threat=CURVE),
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
    both = card("m", *STUDENT.reports, dataclasses.replace(patches, setup=Setup("cifar10", patches=True)))
    assert "0.990" not in table([both])


def test_no_model_is_a_sentence() -> None:
    assert table([]) == "No model is published with this version yet."
    assert table([]) in page([])


def test_a_model_without_numbers_has_a_line_all_the_same() -> None:
    text = table([card("bare")])
    assert text.startswith("**cifar10**, not measured:")
    (line,) = by_model(text, "cifar10").values()
    assert list(line.values())[1:] == ["resnet18", "512", "132 min"]


def test_an_unchecked_number_is_marked() -> None:
    (main_report,) = NATURAL.reports
    unchecked = dataclasses.replace(main_report, runs=())
    assert "0.010 (!)" in table([dataclasses.replace(NATURAL, reports=(unchecked,))])
    checked = tuple(dataclasses.replace(run, flags=()) for run in main_report.runs)
    assert "(!)" not in table([dataclasses.replace(NATURAL, reports=(dataclasses.replace(main_report, runs=checked),))])
