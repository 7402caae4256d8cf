"""Machine code that a later process runs without Numba: when it does, and when it does not."""

import subprocess
import sys

import pytest
from processes import of_compiling

# Prints whether Numba is loaded at the end, and the bits of some results, on several threads.
WORK = """
import sys
{before}
import numpy as np
from fastnn import ops
x = np.arange(600 * 300, dtype=float).reshape(600, 300) / 1e5 - 0.7
y = ops.relu(ops.affine(x, x[:300, :200], x[0, :200]))
print("numba" in sys.modules, hash(y.tobytes()))
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Return the cache folder of a process that has compiled, and what it printed."""
    folder = tmp_path_factory.mktemp("cache")
    printed = run(folder)
    assert printed.startswith("True ")
    return folder, printed.split()[1]


def run(folder, before="", cwd=None, **variables):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WORK.format(before=before)],
        env=of_compiling(FASTNN_QUIET=1, FASTNN_CACHE_DIR=folder, PYTHONHASHSEED=0, **variables),
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_next_process_does_without_numba(kept):
    folder, bits = kept
    assert run(folder).split() == ["False", bits]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["variable", "file", "module"])
def test_settings_of_numba_count(kept, tmp_path, way):
    folder, bits = kept
    before, variables = "", {}
    if way == "variable":
        variables = {"NUMBA_CACHE_DIR": tmp_path}
    elif way == "file":
        (tmp_path / ".numba_config.yaml").write_text("")
    else:
        before = "import numba"
    assert run(folder, before, tmp_path, **variables).split() == ["True", bits]


def objects(folder):
    return sorted(folder.glob("kernels/objects-*/*.o"))


@pytest.mark.slow
def test_a_damaged_file_is_not_run_and_is_written_anew(kept):
    folder, bits = kept
    whole = {path: path.read_bytes() for path in objects(folder)}
    assert len(whole) >= 4
    for path, content in whole.items():
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert run(folder).split() == ["True", bits]
    assert {path: path.read_bytes() for path in objects(folder)} == whole
    assert run(folder).split() == ["False", bits]


@pytest.mark.slow
def test_a_file_that_others_could_have_written_is_not_run(kept):
    folder, bits = kept
    for path in objects(folder):
        path.chmod(0o666)
    assert run(folder).split() == ["True", bits]


@pytest.mark.slow
def test_a_fork_of_a_process_without_numba_works(kept):
    before = """
import os
import numpy as np
from fastnn import ops
ops.relu(np.ones(3))
child = os.fork()
if child == 0:
    assert (ops.affine(np.ones((300, 300)), np.ones((300, 300)), np.zeros(300)) == 300).all()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""
    folder, bits = kept
    for path in objects(folder):
        path.chmod(0o644)
    assert run(folder, before).split() == ["False", bits]
