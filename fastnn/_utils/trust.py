"""Whose files they are: code that another user may have written is not run."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_MOST_LINKS = 40  # as Linux follows

_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def is_ours(status: os.stat_result) -> bool:
    """Say whether only this user or the system can have written what has this status."""
    if not hasattr(os, "getuid"):
        return True
    return status.st_uid in (0, os.getuid()) and not status.st_mode & _OTHERS


def is_as_ours(status: os.stat_result, other: os.stat_result) -> bool:
    """Say whether only who can have written what has status `other` can have written this.

    Code that lies beside code that runs anyway need not be safer than that: an installer may be
    another user, or give its group leave to write.
    """
    if not hasattr(os, "getuid"):
        return True
    writers = status.st_mode & _OTHERS
    known = other.st_mode & (_OTHERS if status.st_gid == other.st_gid else stat.S_IWOTH)
    return status.st_uid in (0, os.getuid(), other.st_uid) and not writers & ~known


def distrust(folder: Path) -> str:
    """Return why another user may have put a folder, or what is in it, there; "" if nobody may.

    All folders on the way and the links among them count: who can write in one can put another in
    the place of what is in it. In one such as ``/tmp`` (with the sticky bit) they cannot. What is
    not there yet will be this user's.

    Raises
    ------
    OSError
        If a folder on the way cannot be searched, or is none.
    """
    if not hasattr(os, "getuid"):
        return ""
    place, *names = Path(os.path.abspath(folder)).parts
    here, ahead, links = Path(place), names[::-1], 0
    reason = _of_folder(here, here.lstat(), is_last=not ahead)
    while ahead and not reason:
        name = ahead.pop()
        if name == os.pardir:  # in a link; `here` has none
            here = here.parent
            continue
        entry = here / name
        try:
            status = entry.lstat()
        except FileNotFoundError:
            return ""
        if not stat.S_ISLNK(status.st_mode):
            here, reason = entry, _of_folder(entry, status, is_last=not ahead)
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder))
        if status.st_uid not in (0, os.getuid()):
            return f"{entry} is a link that user {status.st_uid} has made"
        target = Path(entry.readlink())
        if target.is_absolute():
            here = Path(target.anchor)
        ahead += target.relative_to(target.anchor).parts[::-1]
    return reason


def _of_folder(path: Path, status: os.stat_result, is_last: bool) -> str:
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    if status.st_uid not in (0, os.getuid()):
        return f"{path} belongs to user {status.st_uid}"
    writers = status.st_mode & _OTHERS
    if not is_last and (
        status.st_mode & stat.S_ISVTX or (writers == stat.S_IWGRP and _is_own_group(status.st_gid))
    ):
        return ""
    mode = stat.S_IMODE(status.st_mode)
    return f"other users can write in {path} (mode {mode:o}; chmod go-w mends it)" * bool(writers)


def _is_own_group(number: int) -> bool:
    """Say whether a group has the name of this user and no other members.

    Where each user has one, folders are made for it to write in.
    """
    import grp
    import pwd

    try:
        group, user = grp.getgrgid(number), pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    return group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}
