"""Make the libraries of all levels, and the manifest beside them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fastnn._build import linking, objects
from fastnn._utils import distribution
from fastnn.kernels.machine import ahead
from fastnn.kernels.machine.level import Level, system
from fastnn.kernels.plain import sources
from fastnn.kernels.threading import cpus

Say = Callable[[str], None]


def _compile(level: Level, folder: Path, names: Sequence[str], say: Say) -> None:
    """Compile for a level, in a process of its own."""
    count = len(objects.wanted(names))
    command = [sys.executable, "-m", "fastnn._build.objects", level.name, str(folder), *names]
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=objects.environment(level),
        ) as child:
            try:
                for number, line in enumerate(child.stdout or (), 1):
                    say(f"{level.name}: {number} of {count}, {line.strip()}")
            except BaseException:
                child.kill()
                raise
        errors.seek(0)
        if child.returncode:
            raise linking.BuildError(f"{level.name}: {errors.read().strip()}")


def _make(level: Level, folder: Path, names: Sequence[str], say: Say) -> tuple[str, dict[str, str]]:
    """Make the library of a level; return its digest, and what it refers to."""
    library = folder / f"{level.name}.so"
    with tempfile.TemporaryDirectory() as temporary:
        _compile(level, Path(temporary), names, say)
        linking.link(Path(temporary), library)
    referred = linking.undefined(library)
    content = library.read_bytes()
    say(f"{level.name}: {len(content) / 1e6:.1f} MB; of the system: {', '.join(referred)}")
    return hashlib.sha256(content).hexdigest(), referred


def build(
    levels: Sequence[Level], folder: Path, names: Sequence[str] = (), say: Say = print
) -> None:
    """Make the libraries of some levels in a folder, in place of those that are there.

    Parameters
    ----------
    levels : sequence of Level
    folder : Path
        Made if need be.
    names : sequence of str
        Kernels; all there are if empty.
    say : callable
        Is told of each step.

    Raises
    ------
    BuildError
        If there is no C compiler here, or something fails.
    """
    import llvmlite.binding as llvm
    import numba

    for variable, name in (("CC", "cc"), ("OBJDUMP", "objdump")):  # before anything is compiled
        linking.tool(variable, name)
    digest = sources.digest(ahead.PACKAGE)
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary)
        with ThreadPoolExecutor(min(cpus.available(), len(levels))) as threads:
            waiting = [threads.submit(_make, each, made, names, say) for each in levels]
            results = [each.result() for each in waiting]
        if sources.digest(ahead.PACKAGE) != digest:
            raise linking.BuildError("the sources were edited while they were compiled")
        versions = [version for _, referred in results for version in referred.values()]
        manifest = {
            "fastnn": distribution.VERSION,
            "numba": numba.__version__,
            "llvm": ".".join(map(str, llvm.llvm_version_info)),
            "system": system(),
            "wheel": linking.platform_tag(versions),
            "sources": digest,
            "libraries": {
                level.name: library for level, (library, _) in zip(levels, results, strict=True)
            },
        }
        folder.mkdir(parents=True, exist_ok=True)
        # Without it nobody runs what is there while that changes.
        (folder / ahead.MANIFEST).unlink(missing_ok=True)
        for left in folder.glob("*.so"):
            left.unlink()
        for level in levels:
            # A file that is mapped is not written to: a new one takes its place.
            shutil.copyfile(made / f"{level.name}.so", folder / f"{level.name}.so")
        written = folder / f"{ahead.MANIFEST}.new"
        written.write_text(json.dumps(manifest, indent=2) + "\n")
        os.replace(written, folder / ahead.MANIFEST)
