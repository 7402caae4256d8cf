"""The environment variables of fastnn: nothing and spaces count as unset, nonsense is refused."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from processes import environment

import fastnn

# What shows a variable's value; what it may hold, what it may not, and what the error says then.
VARIABLES = {
    "FASTNN_BACKEND": (
        "config.get_backend()", "numpy", "fast", "expected one of numba, numpy, got 'fast'"
    ),
    "FASTNN_CACHE_DIR": ("_utils.paths.cache_dir()", "folder", None, None),
    "FASTNN_DATA_DIR": (
        "datasets.mnist_source()", None, "/not/there", "expected a folder with the four MNIST files"
    ),
    "FASTNN_MACHINE_CODE": (
        "kernels.machine.code.asked()", "jit", "fast", "expected one of ahead, jit, got 'fast'"
    ),
    "FASTNN_NUM_THREADS": (
        "config.get_num_threads()", "1", "many", "expected an integer of at least 1, got 'many'"
    ),
    "FASTNN_QUIET": ("_utils.log._is_quiet()", "true", "maybe", "expected 1 or 0"),
    "FASTNN_VECTOR_BITS": (
        "kernels.plain.level.vector_bits()", "128", "100",
        "expected one of (512, 256, 128), got '100'",
    ),
}  # fmt: skip
# Each value is tried in a fork of a process that has imported all but this package.
SHOW = """
import importlib, json, os, sys
import numba, numpy, tqdm
for name, shows, value in json.loads(sys.argv[1]):
    sys.stdout.flush()
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0
        continue
    os.environ[name] = value
    module, _, function = f"fastnn.{shows}".rpartition(".")
    try:
        said = str(getattr(importlib.import_module(module), function.strip("()"))())
    except (FileNotFoundError, ValueError) as error:
        said = f"{type(error).__name__}: {error}"
    print(json.dumps(said), flush=True)
    os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_values():
    cases = []
    for name, (shows, good, nonsense, _) in VARIABLES.items():
        values = ["", "  ", good, good and f" {good} ", nonsense]
        cases += [(name, shows, value) for value in values if value is not None]
    done = subprocess.run(
        [sys.executable, "-c", SHOW, json.dumps(cases)],
        env={k: v for k, v in environment().items() if k[:7] != "FASTNN_"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = map(json.loads, done.stdout.splitlines())
    said = {(name, value): line for (name, _, value), line in zip(cases, lines, strict=True)}
    for name, (_, good, nonsense, message) in VARIABLES.items():
        assert said[name, ""] == said[name, "  "]
        assert "Error" not in said[name, ""]
        if good:
            assert said[name, good] == said[name, f" {good} "]
            assert said[name, good].lower() == good
        if nonsense:
            assert said[name, nonsense].partition(":")[0] in ("ValueError", "FileNotFoundError")
            assert name in said[name, nonsense] and message in said[name, nonsense]


def test_all_variables_are_in_the_table():
    (package, *_) = map(Path, fastnn.__path__)
    folders = (package, Path(fastnn.kernels.__file__).parent)
    texts = [path.read_text() for folder in folders for path in folder.rglob("*.py")]
    assert set(re.findall(r"\bFASTNN_[A-Z_]+\b", "".join(texts))) == set(VARIABLES)
