"""Make a shared library of objects, with the system's C compiler, and see what it refers to."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

# What is visible from outside; everything else is the library's own.
_VISIBLE = "{ global: fastnn_*; local: *; };\n"

# Nothing is run when a library is loaded, no symbol of another stands for one of its own, and the
# same objects give the same bytes.
_OPTIONS = (
    "-shared", "-nostartfiles", "-s",
    "-Wl,--gc-sections,--as-needed,-Bsymbolic,--build-id=none,-z,relro,-z,now,-z,noexecstack",
)  # fmt: skip

# What libraries may refer to of the C library: none of its functions of numbers, which differ in
# their last bits between systems.
_KNOWN = re.compile(r"mem(set|cpy|move)|sched_yield|clock_gettime|nanosleep")
_UNDEFINED = re.compile(r"\*UND\*\s+\S+\s+(?:\(?GLIBC_([\d.]+)\)?\s+)?(\S+)$", re.M)

_OLDEST = (2, 17)  # glibc of the oldest systems that wheels are for


class BuildError(Exception):
    """Libraries cannot be made here, or not so."""


def tool(variable: str, name: str) -> list[str]:
    """Return the command of a tool: what a variable holds, or a name.

    Raises
    ------
    BuildError
        If there is none.
    """
    command = shlex.split(os.environ.get(variable, "")) or [name]
    if shutil.which(command[0]) is None:
        raise BuildError(
            f"no {command[0]} here: libraries are linked by a C compiler and looked at with "
            f"binutils; install them, or name another in the variable {variable}"
        )
    return command


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode:
        raise BuildError(f"{command[0]} failed: {done.stderr.strip()}")
    return done.stdout


def link(folder: Path, library: Path) -> None:
    """Make a library of all objects in a folder.

    Raises
    ------
    BuildError
        If there is no C compiler, or it fails.
    """
    visible = folder / "visible.txt"
    visible.write_text(_VISIBLE)
    named = ["-o", str(library), f"-Wl,--version-script={visible}"]
    objects = map(str, sorted(folder.glob("*.o")))
    _run([*tool("CC", "cc"), *_OPTIONS, *named, *objects])


def undefined(library: Path) -> dict[str, str]:
    """Return the names that a library refers to, each with the version of glibc, or "".

    Raises
    ------
    BuildError
        If it refers to others than the C library's.
    """
    table = _run([*tool("OBJDUMP", "objdump"), "-T", str(library)])
    found = {name: version for version, name in _UNDEFINED.findall(table)}
    if unknown := sorted(name for name in found if not _KNOWN.fullmatch(name)):
        raise BuildError(f"{library.name} refers to {', '.join(unknown)}")
    return found


def platform_tag(versions: Sequence[str]) -> str:
    """Return what a wheel's name says of the systems that it is for.

    Parameters
    ----------
    versions : sequence of str
        Of glibc, that its libraries refer to.
    """
    known = [tuple(map(int, version.split("."))) for version in versions if version]
    if not known:  # not glibc, and what it is the names do not say
        return f"linux_{platform.machine()}"
    major, minor = max(_OLDEST, *(version[:2] for version in known))
    return f"manylinux_{major}_{minor}_{platform.machine()}"
