"""The environment variables of fastnn: nothing and spaces count as unset, nonsense is refused."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from processes import environment

import fastnn

# What a variable may hold, what it may not, and what the error says then.
VARIABLES = {
    "FASTNN_BACKEND": ("numpy", "fast", "expected one of numba, numpy, got 'fast'"),
    "FASTNN_CACHE_DIR": ("folder", None, None),
    "FASTNN_DATA_DIR": ("folder", "/not/there", "expected a folder with the four MNIST files"),
    "FASTNN_NUM_THREADS": ("1", "many", "expected an integer of at least 1, got 'many'"),
    "FASTNN_QUIET": ("1", "maybe", "expected 1 or 0"),
    "FASTNN_VECTOR_BITS": ("128", "100", "expected one of (512, 256, 128), got '100'"),
}
# Each value is tried in a fork of a process that has imported all but this package.
SHOW = """
import os, sys
import numba, numpy, tqdm
for value in sys.argv[2:]:
    sys.stdout.flush()
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0
        continue
    os.environ[sys.argv[1]] = value
    try:
        import fastnn
        from fastnn import config, datasets
        from fastnn._utils import log
        from fastnn._utils.paths import cache_dir
        from fastnn.kernels.codegen import simd
        bits, quiet = simd.vector_bits(), log._is_quiet()
        try:
            source = datasets.mnist_source()
        except FileNotFoundError as error:
            source = f"{error}" if value.strip() != "folder" else "in a folder"
        print((config.get_backend(), cache_dir(), source, config.get_num_threads(), quiet, bits))
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
    sys.stdout.flush()
    os._exit(0)
"""


def shown(name, *values):
    """Return what settings are, or the error, with each value of a variable."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SHOW, name, *values],
        env={k: v for k, v in environment().items() if k[:7] != "FASTNN_"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = re.split(r"^(?=\(|\w+Error: )", done.stdout, flags=re.M)
    return [line.strip() for line in lines if line.strip()]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.parametrize("name", VARIABLES)
def test_values(name):
    good, nonsense, message = VARIABLES[name]
    values = ["", "  ", good, f" {good} "] + ([nonsense] if nonsense else [])
    empty, spaces, chosen, with_spaces, *refused = shown(name, *values)
    assert empty == spaces and empty.startswith("(")
    assert chosen == with_spaces and chosen.startswith("(")
    if name != "FASTNN_NUM_THREADS" or "1, " not in empty:  # there may be one processor
        assert chosen != empty
    for said in refused:
        assert name in said and message in said


def test_all_variables_are_in_the_table():
    (package, *_) = map(Path, fastnn.__path__)
    folders = (package, Path(fastnn.kernels.__file__).parent)
    texts = [path.read_text() for folder in folders for path in folder.rglob("*.py")]
    assert set(re.findall(r"\bFASTNN_[A-Z_]+\b", "".join(texts))) == set(VARIABLES)
