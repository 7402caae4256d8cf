"""Whose files they are: folders and links by which another user could put code in place."""

import os
import stat
from pathlib import Path

import pytest

from fastnn._utils import trust
from fastnn._utils.trust import distrust, is_as_ours, is_ours

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners of files here")

OTHER = 12345


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "a" / "b" / "c"
    made.mkdir(parents=True)
    for each in (made.parents[1], made.parent, made):
        each.chmod(0o755)
    return made


@pytest.fixture
def owned(monkeypatch):
    """Return a function that gives a path to another user, as far as `lstat` tells."""
    given, lstat = set(), Path.lstat

    def seen(path):
        status = lstat(path)
        if path not in given:
            return status
        return os.stat_result((*status[:4], OTHER, *status[5:10]))

    monkeypatch.setattr(Path, "lstat", seen)
    return given.add


def test_of_this_user(folder):
    assert distrust(folder) == distrust(folder / "not" / "there") == ""
    assert is_ours(folder.stat())


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("mode", [0o777, 0o757, 0o775])
def test_folder_that_others_can_write(folder, level, mode, monkeypatch):
    monkeypatch.setattr(trust, "_is_own_group", lambda number: False)
    path = [folder, *folder.parents][level]
    path.chmod(mode)
    reason = distrust(folder)
    assert str(path) in reason and f"{mode:o}" in reason and "chmod go-w" in reason
    assert is_ours(path.stat()) is False


@pytest.mark.parametrize("level", [0, 1, 2])
def test_folder_of_another_user(folder, level, owned):
    path = [folder, *folder.parents][level]
    owned(path)
    assert distrust(folder) == f"{path} belongs to user {OTHER}"


def test_in_a_folder_such_as_tmp_each_has_his_own(folder, owned):
    folder.parent.chmod(0o1777)
    assert distrust(folder) == ""
    folder.chmod(0o1777)  # but nothing is anybody's own name in it
    assert distrust(folder) != ""
    folder.chmod(0o755)
    owned(folder)
    assert distrust(folder) != ""


def test_group_of_the_user_alone(folder, monkeypatch):
    monkeypatch.setattr(trust, "_is_own_group", lambda number: True)
    folder.parent.chmod(0o775)
    assert distrust(folder) == ""
    folder.parent.chmod(0o777)
    assert distrust(folder) != ""


def test_own_group_is_one_of_the_same_name_without_others(monkeypatch):
    grp, pwd = pytest.importorskip("grp"), pytest.importorskip("pwd")
    user = pwd.struct_passwd(("me", "x", os.getuid(), 7, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda number: user)
    for name, members, own in [
        ("me", [], True), ("me", ["me"], True), ("me", ["me", "you"], False), ("us", [], False),
    ]:  # fmt: skip
        group = grp.struct_group((name, "x", 7, members))
        monkeypatch.setattr(grp, "getgrgid", lambda number, group=group: group)
        assert trust._is_own_group(7) is own


@pytest.mark.parametrize("relative", [False, True])
def test_links_are_followed_and_what_they_lead_to_is_looked_at(folder, tmp_path, relative):
    elsewhere = tmp_path / "elsewhere" / "kept"
    elsewhere.mkdir(parents=True)
    elsewhere.parent.chmod(0o755)
    target = Path("..", "elsewhere") if relative else elsewhere.parent
    (tmp_path / "a" / "link").symlink_to(target)
    through = tmp_path / "a" / "link" / "kept"
    assert through.is_dir() and distrust(through) == ""
    elsewhere.parent.chmod(0o777)
    assert str(elsewhere.parent) in distrust(through)


def test_link_that_another_user_has_made(folder, owned):
    link = folder.parent / "link"
    link.symlink_to(folder)
    assert distrust(link) == ""
    owned(link)
    assert distrust(link) == f"{link} is a link that user {OTHER} has made"


def test_what_cannot_be_looked_at(folder):
    (folder / "file").touch()
    with pytest.raises(NotADirectoryError):
        distrust(folder / "file" / "kernels")
    (folder / "round").symlink_to(folder / "round")
    with pytest.raises(OSError, match="symbolic links"):
        distrust(folder / "round")
    if os.getuid():
        folder.chmod(stat.S_IWUSR)
        with pytest.raises(PermissionError):
            distrust(folder / "kernels")
        folder.chmod(0o755)


def status(mode, user, group=7):
    return os.stat_result((mode, 0, 0, 1, user, group, 0, 0, 0, 0))


@pytest.mark.parametrize(
    "of_file, of_module, expected",
    [
        ((0o644, 0), (0o644, 0), True),
        ((0o644, OTHER), (0o644, OTHER), True),  # as another user has installed both
        ((0o644, 0), (0o644, OTHER), True),
        ((0o644, OTHER), (0o644, 0), False),
        ((0o664, 0), (0o664, 0), True),
        ((0o664, 0), (0o644, 0), False),
        ((0o664, 0, 8), (0o664, 0, 7), False),  # another group
        ((0o666, 0), (0o664, 0), False),
        ((0o666, 0, 8), (0o666, 0, 7), False),
    ],
)
def test_what_lies_beside_code_is_no_more_open_than_that(of_file, of_module, expected):
    assert is_as_ours(status(*of_file), status(*of_module)) is expected
