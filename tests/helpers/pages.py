"""The pages of the documentation, and what is written in them as code."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from repository import ROOT


def every_page() -> list[Path]:
    """All Markdown files of the repository, new ones that git does not know yet included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    return [ROOT / line for line in sorted(set(listed)) if (ROOT / line).exists()]


def name_of(page: Path) -> str:
    """A page as tests call it."""
    return page.relative_to(ROOT).as_posix()


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def prose(text: str) -> str:
    """A page without its code: fenced and indented blocks, and code within a line."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^    .*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", text)


def commands(text: str) -> list[str]:
    """What a page has a reader type: each robustfeat command of its fenced blocks, without the program's name."""
    lines = [line for block in blocks(text, "bash") for line in block.splitlines()]
    parts = [part.strip() for line in lines for part in line.split(" #")[0].split(";")]
    return [part.removeprefix("robustfeat ") for part in parts if part.startswith("robustfeat ")]
