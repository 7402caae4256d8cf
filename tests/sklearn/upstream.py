"""scikit-learn's own tests of its multilayer perceptrons, on fastnn's: ``python upstream.py``.

The file comes from the scikit-learn that is installed, whose wheel has its tests. The names of the
two classes are replaced, and nothing else. `EXCLUDED` says which tests are left out, and why.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import sklearn.neural_network

EXCLUDED = {
    "test_gradient": "calls the private _loss_grad_lbfgs of the estimator, with its buffers",
    "test_mlp_param_dtypes": "passes with dtype=None; by default arithmetic is in float32, "
    "whatever samples are",
}
# Of these, the one that passes where the default is the dtype of samples.
OF_DTYPES = "test_mlp_param_dtypes"

_IMPORT = "from sklearn.neural_network import MLPClassifier, MLPRegressor\n"
_OURS = "from fastnn.sklearn import MLPClassifier, MLPRegressor\n"
_OF_SAMPLES = (
    _OURS
    + "for _kind in (MLPClassifier, MLPRegressor):\n"
    + "    _kind.__init__.__kwdefaults__['dtype'] = None\n"
)
_CONFTEST = "import pytest\n\n\n@pytest.fixture\ndef global_random_seed():\n    return 42\n"


def run(chosen, names, arguments=()):
    """Run the tests in a process of its own.

    Parameters
    ----------
    chosen : str
        As for pytest's -k.
    names : str
        The lines by which the tests import the estimators.
    arguments : sequence of str
        More of pytest's.

    Returns
    -------
    CompletedProcess
    """
    theirs = Path(sklearn.neural_network.__file__).parent / "tests" / "test_mlp.py"
    text = theirs.read_text(encoding="utf-8")
    if text.count(_IMPORT) != 1:
        raise RuntimeError(f"{theirs}: expected one line {_IMPORT!r}")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_mlp.py").write_text(text.replace(_IMPORT, names), encoding="utf-8")
        Path(folder, "conftest.py").write_text(_CONFTEST, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen]
        return subprocess.run(
            [*command, *arguments, "test_mlp.py"],
            cwd=folder,
            env={**os.environ, "FASTNN_QUIET": "1", "PYTEST_ADDOPTS": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def by_default(arguments=()):
    """Run all tests that are not excluded, on the estimators as they are."""
    return run(" and ".join(f"not {name}" for name in EXCLUDED), _OURS, arguments)


def of_dtypes(arguments=()):
    """Run the test of dtypes, with the dtype of samples by default."""
    return run(OF_DTYPES, _OF_SAMPLES, arguments)


if __name__ == "__main__":
    for name, reason in EXCLUDED.items():
        print(f"left out: {name}: {reason}")
    results = [function(sys.argv[1:]) for function in (by_default, of_dtypes)]
    print("\n".join(result.stdout for result in results))
    sys.exit(max(result.returncode for result in results))
