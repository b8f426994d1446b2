"""Files written whole or not at all, on disks that fail in real ways."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from glob import escape
from pathlib import Path

import pytest

from conftest import REPOSITORY, no_file_above
from zoo.errors import OutputError
from zoo.files import remove_abandoned, replacing, replacing_directory, reserve, workshop, write_text


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB; the test is skipped where nobody may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        shutil.which("mount") is None
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True
        ).returncode
    ):
        pytest.skip("needs the right to mount a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_written_file_holds_the_text(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "é\n")
    assert (tmp_path / "a.txt").read_bytes() == "é\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_the_old_file_stays_when_the_new_one_does_not_fit(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with no_file_above(100), pytest.raises(OutputError, match=r"cannot write .*a\.txt: File too large"):
        write_text(tmp_path / "a.txt", "new" * 1000)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_is_an_output_error_and_leaves_nothing(small_disk: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*a\.txt: No space left on device"):
        write_text(small_disk / "a.txt", "x" * 200_000)
    assert list(small_disk.iterdir()) == []


def test_an_error_inside_the_block_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")

    def fail() -> None:
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]


def test_a_directory_takes_its_place_whole(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "old").touch()
    with replacing_directory(tmp_path / "d") as made:
        (made / "new").touch()
        assert [path.name for path in (tmp_path / "d").iterdir()] == ["old"]
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_the_old_directory_stays_when_the_new_one_fails(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "old").touch()
    with no_file_above(100), pytest.raises(OutputError), replacing_directory(tmp_path / "d") as made:
        (made / "new").write_bytes(b"x" * 1000)
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_a_place_below_a_file_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(OutputError, match=r"cannot write .*file/d: "),
        replacing_directory(tmp_path / "file" / "d"),
    ):
        pass


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    code = (
        "import os, pathlib, zoo.files\n"
        f"with zoo.files.replacing(pathlib.Path({str(tmp_path / 'a.txt')!r})) as temporary:\n"
        "    temporary.write_text('half')\n    os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert (tmp_path / "a.txt").read_text() == "old"


def left_half(path: Path) -> Path:
    """Kill a process that writes a file; what it leaves comes back."""
    code = (
        "import os, pathlib, zoo.files\n"
        f"with zoo.files.replacing(pathlib.Path({str(path)!r})) as temporary:\n"
        "    temporary.write_text('half')\n    os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == -9
    (left,) = path.parent.glob(f".{escape(path.name)}.*")
    return left


def test_what_a_killed_writer_left_is_removed_by_the_next_that_writes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a[1].txt"
    left, other = left_half(path), tmp_path / ".b.txt.1.writing"
    assert left.read_text() == "half"
    other.touch()
    write_text(path, "whole")
    assert {entry.name for entry in tmp_path.iterdir()} == {path.name, other.name}
    remove_abandoned(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_what_a_living_writer_writes_and_what_a_person_calls_so_stay(tmp_path: Path) -> None:
    for name in (".a.txt.old.writing", ".a.txt.12", "a.txt.12.writing"):
        (tmp_path / name).touch()
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
        remove_abandoned(tmp_path)
    assert (tmp_path / "a.txt").read_text() == "whole"
    assert len(list(tmp_path.iterdir())) == 4


def killed(path: Path, at: str) -> None:
    """Kill a process that replaces a directory, at a place of its work."""
    code = (
        "import os, pathlib, zoo.files\n"
        "def die(*arguments):\n    os.kill(os.getpid(), 9)\n"
        "rename = pathlib.Path.rename\n"
        "def half(self, target):\n    die() if self.name == 'new' else rename(self, target)\n"
        f"pathlib.Path.rename = half if {at!r} == 'exchange' else rename\n"
        f"with zoo.files.replacing_directory(pathlib.Path({str(path)!r})) as made:\n"
        "    (made / 'file').write_text('half')\n"
        f"    die() if {at!r} == 'block' else None"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == -9


@pytest.mark.parametrize("at", ["block", "exchange"])
def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path, at: str) -> None:
    path = tmp_path / "export"
    path.mkdir()
    (path / "file").write_text("old")
    killed(path, at)
    assert len(list(tmp_path.iterdir())) == (2 if at == "block" else 1)

    with pytest.raises(KeyError), replacing_directory(path):
        raise KeyError

    assert [(entry.name, (entry / "file").read_text()) for entry in tmp_path.iterdir()] == [("export", "old")]


def test_what_a_living_process_makes_is_left_to_it(tmp_path: Path) -> None:
    with replacing_directory(tmp_path / "export") as first:
        (first / "file").write_text("first")
        with replacing_directory(tmp_path / "export") as second:
            (second / "file").write_text("second")
        assert (first / "file").read_text() == "first"

    assert [entry.name for entry in tmp_path.iterdir()] == ["export"]


def test_where_files_cannot_be_locked_nothing_is_taken_for_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    (tmp_path / ".export.abcdefgh.making").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", refuse)
        with replacing_directory(tmp_path / "export"):
            pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".export.abcdefgh.making", "export"]


def test_a_folder_of_a_person_beside_it_is_never_removed(tmp_path: Path) -> None:
    for name in (".export.backup", ".export.backup12.makings", ".exports.abcdefgh.making"):
        (tmp_path / name).mkdir()

    with replacing_directory(tmp_path / "export"):
        pass

    assert len(list(tmp_path.iterdir())) == 4


def test_a_file_in_the_place_of_a_folder_is_named(here: Path) -> None:
    Path("file").touch()
    for place in ("file/new", "file/a/new"):
        with pytest.raises(OutputError, match=f"cannot write {place}: file is no directory"):
            write_text(Path(place), "text")
        with pytest.raises(OutputError, match=f"cannot write {place}: file is no directory"), workshop(Path(place)):
            pass


def test_what_is_no_file_is_not_replaced_by_one(here: Path) -> None:
    os.mkfifo("pipe")
    with pytest.raises(OutputError, match="cannot write pipe: it is a device, a pipe or a socket"):
        write_text(Path("pipe"), "text")
    assert Path("pipe").is_fifo()
    assert os.listdir() == ["pipe"]


def test_a_place_for_too_large_a_file_is_refused_and_nothing_stays(tmp_path: Path) -> None:
    with no_file_above(100), pytest.raises(OSError, match="File too large"):
        reserve(101, tmp_path / "a")
    reserve(101, tmp_path / "a")

    assert not [*tmp_path.iterdir()]


def test_files_that_fit_each_but_not_together_are_refused_by_the_disk_alone(small_disk: Path) -> None:
    most = shutil.disk_usage(small_disk).free * 2 // 3
    with no_file_above(most):
        reserve(most // 2, small_disk / "a", small_disk / "b")
    with pytest.raises(OSError, match="No space left"):
        reserve(most, small_disk / "a", small_disk / "b")

    assert not [*small_disk.iterdir()]
