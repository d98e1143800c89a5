"""Files and folders are complete or not there, whatever happens while they are written."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from robustfeat.runtime.files import atomic_file, atomic_folder, sha256, write_text


class Stop(BaseException): ...


ERRORS = [ValueError, KeyboardInterrupt, Stop]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_a_file_is_replaced_at_the_end_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_text(path, "old")
    with atomic_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent  # the same file system, so that renaming is atomic
    assert path.read_text() == "new"
    assert names(tmp_path) == ["deep", "file"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    with pytest.raises(error), atomic_file(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_leaves_no_folder(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), atomic_folder(tmp_path / "folder") as temporary:  # noqa: PT012
        (temporary / "part").write_text("half")
        raise error
    assert names(tmp_path) == []


def test_a_folder_appears_complete(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "folder") as temporary:
        (temporary / "part").write_text("whole")
        assert not (tmp_path / "folder").exists()
    assert names(tmp_path) == ["folder", "part"]
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o755


def test_a_folder_that_exists_is_not_touched(tmp_path: Path) -> None:
    write_text(tmp_path / "folder" / "old", "old")
    with pytest.raises(OSError, match="not empty"), atomic_folder(tmp_path / "folder") as temporary:
        (temporary / "new").write_text("new")
    assert names(tmp_path) == ["folder", "old"]


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "file").write_bytes(content)
    assert sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()
