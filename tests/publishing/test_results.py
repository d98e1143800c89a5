"""The tables of published models are where they belong: what is in the repository is what the cards say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from repository import ROOT
from result_cards import NATURAL, STUDENT, TEACHER

from robustfeat.command_line.cli import main
from robustfeat.features import shipped
from robustfeat.features.card import Card
from robustfeat.publishing.results import END, PAGE, START, page, published, readme, summary, table, write


def save(folder: Path, *cards: Card) -> Path:
    for each in cards:
        (folder / each.name).mkdir(parents=True)
        (folder / each.name / "card.json").write_text(each.to_json())
    return folder


def test_the_repository_says_what_its_cards_say() -> None:
    """Where this fails: `make results`."""
    cards = published(ROOT / "pretrained")
    assert (ROOT / PAGE).read_text() == page(cards)
    text = (ROOT / "README.md").read_text()
    assert text == readme(text, cards)
    assert [each.name for each in cards] == [each.name for each in published()]
    assert sorted(each.name for each in cards) == shipped.models()
    for each in cards:
        assert (ROOT / "pretrained" / each.name / "README.md").read_text() == each.readme()


def test_teachers_come_first_and_natural_models_last(tmp_path: Path) -> None:
    models = save(tmp_path, NATURAL, STUDENT, TEACHER)
    assert [each.name for each in published(models)] == ["z-teacher", "a-student", "natural"]


def test_a_checkout_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "pretrained", TEACHER)
    text = f"# Title\n\nbefore\n\n{START}\nold\n{END}\n\nafter\n"
    (tmp_path / "README.md").write_text(text)
    assert main(["results", "--write", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / PAGE), str(tmp_path / "README.md")]
    written = (tmp_path / "README.md").read_text()
    assert written == f"# Title\n\nbefore\n\n{START}\n\n{summary([TEACHER])}\n\n{END}\n\nafter\n"
    assert (tmp_path / PAGE).read_text() == page([TEACHER])
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
    monkeypatch.setattr(shipped, "home", lambda: tmp_path)
    assert main(["results"]) == 0
    assert capsys.readouterr().out == table([TEACHER, NATURAL]) + "\n"
    shutil.rmtree(tmp_path / "natural")
    shutil.rmtree(tmp_path / "z-teacher")
    assert main(["results"]) == 0
    assert "No model is published" in capsys.readouterr().out
