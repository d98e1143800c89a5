"""Every link of every page leads to a file of the repository, and to a heading that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import every_page, name_of, prose
from repository import ROOT


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as hosts of repositories make them: lower case, no punctuation, spaces as hyphens."""
    found: set[str] = set()
    without_code = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for heading in re.findall(r"^#+ (.+)$", without_code, flags=re.MULTILINE):
        bare = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", bare.lower()).replace(" ", "-")
        number = sum(other == slug or re.fullmatch(rf"{re.escape(slug)}-\d+", other) is not None for other in found)
        found.add(f"{slug}-{number}" if slug in found else slug)
    return found


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", prose(text))


def test_anchors_are_those_of_a_host() -> None:
    text = (
        "# A teacher that errs\n## `kd`\n## Worse weights: `--awp`\n## What? (now)\n## `kd`\n```\n# no heading\n```\n"
    )
    assert anchors(text) == {"a-teacher-that-errs", "kd", "worse-weights---awp", "what-now", "kd-1"}


def test_links_in_code_are_none() -> None:
    assert links("[a](b.md) and `[c](d.md)`\n\n    [e](f.md)\n\n```\n[g](h.md)\n```\n![i](j.png)") == ["b.md", "j.png"]


def test_there_are_pages() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/README.md", "recipes/README.md"} <= set(map(name_of, every_page()))


@pytest.mark.parametrize("page", every_page(), ids=name_of)
def test_every_link_resolves(page: Path) -> None:
    for link in links(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue  # of another host
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{link} leads nowhere"
        assert path.is_relative_to(ROOT), f"{link} leaves the repository"
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), f"{link}: no such heading"


def test_every_page_of_the_documentation_is_listed() -> None:
    contents = ROOT / "docs" / "README.md"
    listed = {(contents.parent / link.partition("#")[0]).resolve() for link in links(contents.read_text("utf-8"))}
    missing = [name_of(path) for path in (ROOT / "docs").rglob("*.md") if path != contents and path not in listed]
    assert missing == []
