"""Files that options name: what may be replaced, what must be written to, and what is known before the work."""

import os
import socket
import stat
import threading

import pytest

from opcheck import files
from opcheck.errors import Refused


def names(folder):
    return [each.name for each in folder.iterdir()]


def test_a_new_file_is_written_and_nothing_stays_beside_it(tmp_path):
    files.write(tmp_path / "out", "Σ\n")
    assert (tmp_path / "out").read_text(encoding="utf-8") == "Σ\n"
    assert names(tmp_path) == ["out"]


def test_permissions_of_the_file_that_is_replaced_stay(tmp_path):
    out = tmp_path / "out"
    out.write_text("old")
    out.chmod(0o640)
    files.write(out, "new")
    assert (out.read_text(), stat.S_IMODE(out.stat().st_mode)) == ("new", 0o640)


def test_a_new_file_has_the_permissions_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        files.write(tmp_path / "out", "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640


def test_a_reader_of_the_old_file_keeps_it_whole(tmp_path):
    out = tmp_path / "out"
    out.write_text("old")
    with out.open() as reader:
        files.write(out, "new")
        assert reader.read() == "old"


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_followed_and_stays(tmp_path, there):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    if there:
        target.write_text("old")
    link.symlink_to("folder/target")
    files.check_file(link)
    files.write(link, "new")
    assert link.is_symlink() and target.read_text() == "new"


def test_a_link_to_itself_is_refused_and_stays(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(link)
    for each in (files.check_file, lambda path: files.write(path, "new")):
        with pytest.raises(Refused, match="Too many levels of symbolic links"):
            each(link)
    assert link.is_symlink()


def test_a_fifo_is_written_to_and_stays(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    files.check_file(fifo)
    came: list[str] = []
    reader = threading.Thread(target=lambda: came.append(fifo.read_text()))
    reader.start()
    files.write(fifo, "through it")
    reader.join(10)
    assert came == ["through it"] and stat.S_ISFIFO(fifo.stat().st_mode)


def test_a_device_is_written_to_and_stays(tmp_path):
    device = tmp_path / "device"
    try:
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 7))  # as /dev/full
    except PermissionError:
        pytest.skip("only root makes devices")
    with pytest.raises(Refused, match="No space left on device"):
        files.write(device, "new")
    assert stat.S_ISCHR(device.stat().st_mode)


def test_a_socket_is_refused_and_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
        with pytest.raises(Refused, match="is a socket"):
            files.check_file(tmp_path / "socket")
        with pytest.raises(Refused, match="cannot write to"):
            files.write(tmp_path / "socket", "new")
    assert stat.S_ISSOCK((tmp_path / "socket").stat().st_mode)


def test_a_descriptor_is_written_to_where_it_stands(tmp_path):
    log = tmp_path / "log"
    with log.open("w") as file:
        file.write("before\n")
        file.flush()
        for path in (tmp_path / "link", files.Path(f"/dev/fd/{file.fileno()}")):
            (tmp_path / "link").is_symlink() or (tmp_path / "link").symlink_to(f"/dev/fd/{file.fileno()}")
            files.check_file(path)
            files.write(path, "now\n")
    assert log.read_text() == "before\nnow\nnow\n"


def test_a_reader_that_leaves_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    files.write(files.Path(f"/dev/fd/{writing}"), "unread")
    os.close(writing)


def test_half_a_character_is_written_so_that_it_can_be_read(tmp_path):
    files.write(tmp_path / "out", "a\ud800b")
    assert (tmp_path / "out").read_text(encoding="utf-8") == "a\\ud800b"


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "Is a directory"),
        ("missing/out", "No such file or directory"),
        ("file/out", "Not a directory"),
        ("x" * 4096, "File name too long"),
        ("a\0b", "null byte"),
        ("\ud800", "surrogates not allowed"),
    ],
)
def test_what_cannot_be_written_is_known_before(tmp_path, name, rule):
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match=rule) as refused:
        files.check_file(tmp_path / name)
    assert len(refused.value.rule) < 300


def test_a_folder_is_found_or_can_be_made(tmp_path):
    files.check_folder(tmp_path / "a" / "b")
    files.check_folder(tmp_path)
    (tmp_path / "file").write_text("")
    for name in ("file", "file/below"):
        with pytest.raises(Refused, match="Not a directory"):
            files.check_folder(tmp_path / name)
    assert names(tmp_path) == ["file"]


def test_a_place_is_a_file_that_is_there_or_a_folder_to_be_made(tmp_path):
    for place in (tmp_path, tmp_path / "new" / "grades.csv", files.Path("/dev/null"), files.Path("/dev/stdout")):
        files.check_place(place)
    with pytest.raises(Refused, match="Bad file descriptor"):
        files.check_place(files.Path("/dev/fd/9999"))


def test_no_permission_is_known_before(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may do everything
    for each in (files.check_file, files.check_folder):
        for path in (tmp_path / "file", tmp_path / "new"):
            with pytest.raises(Refused):
                each(path)


def test_a_file_in_a_folder_of_somebody_else_is_written_in_place(tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.write_text("old")
    inode = out.stat().st_ino
    monkeypatch.setattr(os, "access", lambda path, mode: not path.is_dir())
    files.write(out, "new")
    assert (out.read_text(), out.stat().st_ino) == ("new", inode)


def test_only_a_regular_file_holds_a_database(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", files.Path("/dev/null"), files.Path("/dev/stdout")):
        with pytest.raises(Refused, match="is not a regular file"):
            files.check_regular(path)
    files.check_regular(tmp_path / "new")
