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
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from threading import Lock

from fastnn._build import linking, objects
from fastnn._messages.bars import Progress
from fastnn._utils import distribution
from fastnn.kernels.machine import ahead
from fastnn.kernels.machine.level import Level, system
from fastnn.kernels.plain import sources
from fastnn.kernels.threading import cpus

Say = Callable[[str], None]

# Processes a level: their kernels have little in common, and one works on one processor.
SHARES = 2


class _Compilers:
    """Processes that compile, each a share of what there is for a level.

    Parameters
    ----------
    names : sequence of str
        Kernels; all there are if empty.
    bar : Progress
        Is told of each symbol.
    """

    def __init__(self, names: Sequence[str], bar: Progress) -> None:
        self._names, self._bar, self._lock = names, bar, Lock()
        self._running: list[subprocess.Popen[str]] = []
        self._ended = False

    def run(self, level: Level, folder: Path, share: int) -> None:
        """Compile a share into a folder; raise BuildError if that fails."""
        given = (level.name, str(folder), f"{share}/{SHARES}", *self._names)
        with tempfile.TemporaryFile("w+") as errors:
            with subprocess.Popen(
                [sys.executable, "-m", "fastnn._build.objects", *given],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=objects.environment(level),
            ) as child:
                self._running.append(child)
                if self._ended:
                    child.kill()
                for line in child.stdout or ():
                    with self._lock:
                        self._bar.advance(1, partial(dict, last=f"{level.name} {line.strip()}"))
            errors.seek(0)
            if child.returncode:
                raise linking.BuildError(f"{level.name}: {errors.read().strip()}")

    def end(self) -> None:
        """End all that run, and those that would begin."""
        self._ended = True
        for child in self._running:
            child.kill()


def _compile(levels: Sequence[Level], made: Path, names: Sequence[str]) -> None:
    """Compile for levels, as many processes at a time as there are processors."""
    count = len(levels) * len(objects.wanted(names))
    workers = min(cpus.available(), SHARES * len(levels))
    with Progress(count, " kernels") as bar, ThreadPoolExecutor(workers) as threads:
        compilers = _Compilers(names, bar)
        waiting = []
        for level in levels:
            folder = made / level.name
            folder.mkdir()
            waiting += [threads.submit(compilers.run, level, folder, i) for i in range(SHARES)]
        try:
            for each in as_completed(waiting):
                each.result()
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            compilers.end()
            raise


def _link(level: Level, made: Path, say: Say) -> tuple[str, dict[str, str]]:
    """Make the library of a level; return its digest, and what it refers to."""
    library = made / f"{level.name}.so"
    linking.link(made / level.name, library)
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
    try:
        import llvmlite.binding as llvm
        import numba
    except ImportError as error:
        raise linking.BuildError(f"Numba compiles, and cannot be imported: {error}") from error
    for variable, name in (("CC", "cc"), ("OBJDUMP", "objdump")):  # before anything is compiled
        linking.tool(variable, name)
    digest = sources.digest(ahead.PACKAGE)
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary)
        _compile(levels, made, names)
        if sources.digest(ahead.PACKAGE) != digest:
            raise linking.BuildError("the sources were edited while they were compiled")
        results = [_link(level, made, say) for level in levels]
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
