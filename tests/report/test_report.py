"""Reports: what is saved comes back, what is printed is complete, what is damaged is refused."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from robustfeat.attacks.flag import Flag
from robustfeat.report import DataFacts, Ran, Report, Row, Sized, Splits, markdown, plot_curves, plot_robustness, table
from robustfeat.runtime.errors import IntegrityError

ROWS = (
    Row("probe", "accuracy", "none", None, "", 0.987, 0.954, 0.996, 321, 0.25),
    Row("probe", "accuracy", "pgd", None, "", 0.432, 0.388, 0.477, 321, 1.5),
    Row("anomaly", "auroc", "none", None, "", 0.876, 0.81, 0.912, 321, 0.125),
    Row("anomaly", "auroc", "pgd", None, "normal", 0.1234567890123456789, 0.1, 0.15, 321, 2.0),
)
REPORT = Report(
    model="one",
    data=Splits(DataFacts("digits", 1297, "ab"), DataFacts("digits", 321, "cd")),
    threat="linf 8/255",
    rows=ROWS,
    attacks={Sized("pgd"): "PGD(steps=20)"},
    environment={"torch": "2.14.1", "cores": 2},
)
OTHER = dataclasses.replace(
    REPORT, model="two", attacks={Sized("pgd"): "PGD(steps=7)"}, rows=(dataclasses.replace(ROWS[0], value=0.555),)
)


def test_save_and_load(tmp_path: Path) -> None:
    REPORT.save(tmp_path / "new" / "report.json")
    assert Report.load(tmp_path / "new" / "report.json") == REPORT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.json"]
    values = json.loads(REPORT.to_json())
    assert list(values) == [
        "format",
        "model",
        "data",
        "threat",
        "rows",
        "attacks",
        "environment",
        "weights",
        "runs",
        "features",
        "setup",
        "notes",
    ]
    assert values["rows"][3]["value"] == ROWS[3].value, "every digit is kept"


def test_value() -> None:
    assert REPORT.value("probe", "accuracy") == 0.987
    assert REPORT.value("anomaly", "auroc", "pgd", column="normal") == ROWS[3].value
    two = (dataclasses.replace(ROWS[1], eps=eps, value=value) for eps, value in ((1 / 255, 0.7), (2 / 255, 0.6)))
    ladder = dataclasses.replace(REPORT, rows=tuple(two))
    assert [ladder.value("probe", "accuracy", "pgd", n / 255) for n in (1, 2)] == [0.7, 0.6]
    with pytest.raises(KeyError, match="at eps 1/255, 2/255; name one of them"):
        ladder.value("probe", "accuracy", "pgd")
    with pytest.raises(KeyError, match="no 'accuracy' of task 'probe' under 'pgd' at eps 4/255"):
        ladder.value("probe", "accuracy", "pgd", 4 / 255)
    for key in (("probe", "accuracy", "fgsm"), ("probe", "recall@1", "none"), ("retrieval", "accuracy", "none")):
        with pytest.raises(KeyError, match=key[0]):
            REPORT.value(*key)


def cells(line: str, mark: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split(mark) if cell.strip()]


@pytest.mark.parametrize(("text", "mark"), [(table(REPORT), "  "), (markdown(REPORT), "|")], ids=["table", "markdown"])
def test_every_number_is_printed(text: str, mark: str) -> None:
    lines = [cells(line, mark) for line in text.splitlines()]
    for row in ROWS:
        interval = f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"
        assert lines.count([row.task, row.metric, REPORT.label(*row.sized, row.column), interval, str(row.n)]) == 1
    for fact in ("PGD(steps=20)", "1297 images of digits", "321 images of digits"):
        assert fact in text


@pytest.mark.parametrize("text", [table(REPORT, OTHER), markdown(REPORT, OTHER)], ids=["table", "markdown"])
def test_side_by_side(text: str) -> None:
    (line,) = [line for line in text.splitlines() if "accuracy" in line and "none" in line]
    assert line.index("0.987 [0.954, 0.996]") < line.index("0.555 [0.954, 0.996]")
    header = next(line for line in text.splitlines() if "metric" in line)
    assert header.index("one") < header.index("two")
    assert "PGD(steps=20)" in text, "the same name may stand for two attacks"
    assert "PGD(steps=7)" in text


def test_markdown_is_a_table() -> None:
    lines = [line for line in markdown(REPORT, OTHER, title="Numbers").splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(ROWS)
    assert {line.count("|") for line in lines} == {7}
    assert markdown(REPORT, title="Numbers").startswith("# Numbers\n")


def test_what_ran_and_its_flags_are_printed_and_kept(tmp_path: Path) -> None:
    flag = Flag("zero gradients", 0.75, 0.02, "of the images had a gradient of exactly 0")
    ran = Ran("probe", "", "pgd", None, "Worst(APGD, Square)", 3000, 1200, 0.75, 0.1, 2.5, (flag,))
    report = dataclasses.replace(REPORT, runs=(ran, dataclasses.replace(ran, task="anomaly", flags=())))
    report.save(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json") == report
    assert report.flagged == (ran,)
    for text in (table(report), markdown(report)):
        assert "! one, probe under pgd: zero gradients: 0.75 of the images had a gradient of exactly 0" in text
        assert "anomaly under pgd" not in text
        assert "attack pgd on probe: Worst(APGD, Square)" in text
        assert "6,000 images forward, 2,400 back, 5 s" in text


VALID = REPORT.to_json()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        "7",
        "null",
        VALID[:-40],
        VALID.replace('"rows"', '"rOws"'),
        VALID.replace('"model"', '"modle"'),
        VALID.replace('"low"', '"lov"', 1),
        json.dumps(json.loads(VALID) | {"rows": [1, 2]}),
        json.dumps(json.loads(VALID) | {"rows": "probe"}),
        json.dumps(json.loads(VALID) | {"rows": None}),
        json.dumps(json.loads(VALID) | {"surplus": 1}),
        "<html>not found</html>",
    ],
)
def test_a_damaged_file(content: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(content)
    with pytest.raises(IntegrityError, match="is not a report"):
        Report.load(path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(b"\xff\xfe\x00garbage")
    with pytest.raises(IntegrityError, match="is not a report"):
        Report.load(path)
    with pytest.raises(FileNotFoundError):
        Report.load(tmp_path / "absent.json")


def test_plot(tmp_path: Path) -> None:
    headline = {"probe": "accuracy", "anomaly": "auroc"}
    plot_robustness([REPORT, OTHER], headline, "pgd", tmp_path / "plot.png")
    plot_robustness([REPORT], headline, "pgd", tmp_path / "single.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    both, single = (np.asarray(Image.open(tmp_path / name).convert("RGB")) for name in ("plot.png", "single.png"))
    assert both.std() > 5, "something is drawn"
    assert both.shape == single.shape
    assert not np.array_equal(both, single)
    plot_robustness([REPORT], headline, "pgd", tmp_path / "plot.svg")
    assert "<svg" in (tmp_path / "plot.svg").read_text()


def test_curves(tmp_path: Path) -> None:
    """One point per size and the clean one; rows of one side only, and of other attacks, are no points of the curve."""
    clean = REPORT.rows[0]
    places = [("none", None, ""), ("apgd", 2 / 255, ""), ("apgd", 0.15, "")]
    places += [("apgd", 0.15, "normal"), ("apgd", 2 / 255, "normal"), ("pgd", 8 / 255, ""), ("apgd-2", 2 / 255, "")]
    rows = [
        dataclasses.replace(clean, attack=attack, eps=eps, column=column, value=0.9 - 0.1 * i)
        for i, (attack, eps, column) in enumerate(places)
    ]
    report = dataclasses.replace(REPORT, rows=tuple(rows))
    plot_curves([report], {clean.task: clean.metric}, "apgd", tmp_path / "curve.svg")
    text = (tmp_path / "curve.svg").read_text()
    (line,) = re.findall(
        r'<g id="line2d_\d+">\s*<path d="(M [^"]*)" clip-path="[^"]*" style="fill: none; stroke: #1f77b4', text
    )
    assert line.count("L ") == 2, "three points"
    with pytest.raises(ValueError, match="no attack 'fgsm'"):
        plot_curves([report], {clean.task: clean.metric}, "fgsm", tmp_path / "none.png")
