"""The machine code of this installation."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import fastnn
from fastnn import kernels
from fastnn.kernels.machine import code

LIBRARIES = (".so", ".dylib", ".dll", ".pyd")
BY_NUMBA = "compiled by Numba"
# Has kernels compiled here, whatever the package brings.
COMPILED_HERE = {"FASTNN_MACHINE_CODE": "jit"}


def kind() -> str:
    """Say where the machine code of a new process comes from."""
    found = code.library()
    return f"made ahead for {found.level.name}" if found else BY_NUMBA


def _files() -> list[Path]:
    folders = {Path(fastnn.__path__[0]).resolve(), Path(kernels.__path__[0]).resolve()}
    found = {file.resolve() for folder in folders for file in folder.rglob("*") if file.is_file()}
    return sorted(file for file in found if "__pycache__" not in file.parts)


def installed() -> dict[str, int]:
    """Return the bytes of the package: all its files, its libraries, all packed as in a wheel."""
    files, packed = _files(), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file)
    libraries = (file for file in files if file.suffix in LIBRARIES)
    return {
        "files": sum(file.stat().st_size for file in files),
        "libraries": sum(file.stat().st_size for file in libraries),
        "packed": len(packed.getvalue()),
    }
