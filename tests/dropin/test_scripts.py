"""Whole scripts, as users run them: on the transcription, and through ``python -m fastnn run``."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parent / "scripts"

# Numbers may be 1e-10 of them apart. The trainings are too short to spread rounding that far: with
# all numbers of np.random.randn moved by one unit in the last place, what the transcription prints
# differs by 3e-14 at most, but for what comes of central differences. These are
# (f(x + h) - f(x - h)) / 2h with h = 1e-4: a loss f of about 2.3, rounded in the last places of
# some sums, leaves about 1e-15 / 2e-4 = 5e-12 of a slope to chance.
RELATIVE = {
    "ch04_two_layer_net": 1e-9,  # is trained by them: 1e-11 when moved
    "ch03_pickled_weights": float(32 * np.finfo(np.float32).eps),  # of float32
}
# Prints their difference to gradients by backpropagation, which is about 1e-7: 1e-12 when moved.
ABSOLUTE = {"ch06_batch_norm_gradient_check": 2e-11}


def run_numpy(folder, book_path, script):
    """Run a script on the transcription."""
    return subprocess.run(
        [sys.executable, script],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, book_path)),
            "FASTNN_DATA_DIR": str(folder.parent / "dataset"),
            # The pool of NumPy's library waits for each thread, also on a busy machine.
            "OPENBLAS_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def chapter(tmp_path, idx_files):
    """Return the folder of a chapter, beside one with the data."""
    shutil.copytree(idx_files, tmp_path / "dataset")
    folder = tmp_path / "ch06"
    folder.mkdir()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("ch*.py")), ids=lambda path: path.stem)
def test_the_same_numbers(script, chapter, book_path, same_text, run_fastnn):
    shutil.copy(script, chapter)
    name, path = "dlfs", book_path
    if script.stem.startswith("cs231n"):
        name, path = "cs231n", [SCRIPTS.parent / "numpy_cs231n"]
    book = run_numpy(chapter, path, script.name)
    assert book.returncode == 0, book.stderr
    fast = run_fastnn(chapter, script.name, name=name)
    assert fast.returncode == 0, fast.stderr
    assert len(book.stdout) > 100
    same_text(
        book.stdout,
        fast.stdout,
        relative=RELATIVE.get(script.stem, 1e-10),
        absolute=ABSOLUTE.get(script.stem, 0.0),
    )


@pytest.mark.slow
def test_the_same_text_in_a_process_of_its_own(chapter, run_fastnn, run_alone):
    shutil.copy(SCRIPTS / "ch06_overfit_dropout.py", chapter)
    alone = run_alone(chapter, "ch06_overfit_dropout.py")
    assert (alone.returncode, alone.stderr) == (0, "")
    assert alone.stdout == run_fastnn(chapter, "ch06_overfit_dropout.py").stdout


@pytest.mark.slow
def test_arguments_and_names(chapter, run_alone):
    (chapter / "show.py").write_text(
        "import sys, os\n"
        "sys.path.append(os.pardir)\n"
        "from common.optimizer import *\n"
        "print(__name__, __file__, sys.argv, sys.path[0], __package__, __spec__, __doc__)\n"
        "print(sys.modules['__main__'].__dict__ is globals(), os.getcwd())\n"
        "print(Adam(*map(float, sys.argv[2:])).lr)\n"
        "sys.exit('enough')\n"
    )
    done = run_alone(chapter, "show.py", "--help", "0.5")
    assert (done.returncode, done.stderr) == (1, "enough\n")
    folder = os.path.realpath(chapter)
    assert done.stdout.splitlines() == [
        f"__main__ {folder}/show.py ['show.py', '--help', '0.5'] {folder} None None None",
        f"True {folder}",
        "0.5",
    ]


# What a script can see of how it was started.
SHOW = """
import os
import sys

names = ["__name__", "__file__", "__package__", "__spec__", "__doc__", "__cached__"]
print({name: globals().get(name) for name in names}, sorted(globals()))
print(sys.argv, sys.path[0], os.getcwd(), __loader__.path, __builtins__)
print(sys.modules["__main__"].__dict__ is globals(), os.path.dirname(__file__))


def divide():
    return 1 / len(sys.argv[3:])


if "fail" in sys.argv:
    divide()
"""


@pytest.mark.parametrize(
    "path", ["show.py", "./show.py", "sub/show.py", "sub/../show.py", "link.py"]
)
@pytest.mark.parametrize("ending", ["well", "fail"])
def test_a_script_sees_what_python_shows_it(chapter, path, ending, run_fastnn):
    for folder in (chapter, chapter / "sub"):
        folder.mkdir(exist_ok=True)
        (folder / "show.py").write_text(SHOW)
    (chapter / "sub" / "__init__.py").touch()  # in a package, too
    (chapter / "link.py").symlink_to(chapter / "sub" / "show.py")
    command = [sys.executable, path, ending, "--as"]
    plain = subprocess.run(command, cwd=chapter, capture_output=True, text=True, check=False)
    done = run_fastnn(chapter, *command[1:])
    assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout)
    assert done.stderr == plain.stderr and ("ZeroDivisionError" in done.stderr) == (
        ending == "fail"
    )


@pytest.mark.slow
def test_ctrl_c_ends_the_process_as_python_does(chapter, run_alone):
    (chapter / "end.py").write_text(
        "import atexit\natexit.register(print, 'at the end')\nraise KeyboardInterrupt\n"
    )
    command = [sys.executable, "end.py"]
    plain = subprocess.run(command, cwd=chapter, capture_output=True, text=True, check=False)
    done = run_alone(chapter, "end.py")
    assert done.stderr == plain.stderr and "KeyboardInterrupt" in done.stderr
    assert (done.returncode, done.stdout) == (plain.returncode, "at the end\n")


@pytest.mark.slow
def test_a_folder_that_python_leaves_out_of_the_path_stays_out(chapter):
    (chapter / "show.py").write_text(SHOW)
    for flag in ["-I"] + ["-P"] * (sys.version_info >= (3, 11)):
        command = [sys.executable, flag, "show.py"]
        as_book = [*command[:2], "-m", "fastnn", "run", "--as", "dlfs", "show.py"]
        plain, done = (
            subprocess.run(args, cwd=chapter, capture_output=True, text=True, check=True)
            for args in (command, as_book)
        )
        assert done.stdout == plain.stdout


@pytest.mark.slow
def test_a_script_in_another_folder_finds_its_own_modules(chapter, run_fastnn):
    (chapter / "two_layer_net.py").write_text("from common.layers import Affine\nSIZE = 7\n")
    (chapter / "train.py").write_text("from two_layer_net import *\nprint(SIZE, Affine.__name__)\n")
    done = run_fastnn(chapter.parent, "ch06/train.py")
    assert (done.returncode, done.stdout) == (0, "7 Affine\n"), done.stderr


@pytest.mark.slow
def test_an_exception(chapter, run_alone):
    (chapter / "fail.py").write_text(
        "from common.functions import softmax\n"
        "\n"
        "\n"
        "def divide(x):\n"
        "    return x / len([])\n"
        "\n"
        "\n"
        "print('before')\n"
        "divide(1)\n"
    )
    done = run_alone(chapter, "fail.py")
    assert done.returncode == 1
    assert done.stdout == "before\n"
    lines = done.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert 'fail.py", line 9, in <module>' in lines[1]
    assert 'fail.py", line 5, in divide' in done.stderr
    assert "    return x / len([])" in lines
    assert lines[-1] == "ZeroDivisionError: division by zero"
    assert "fastnn" not in done.stderr


def test_a_syntax_error(chapter, run_fastnn):
    (chapter / "fail.py").write_text("print('never')\nx = = 1\n")
    done = run_fastnn(chapter, "fail.py")
    assert (done.returncode, done.stdout) == (1, "")
    assert 'fail.py", line 2' in done.stderr
    assert "SyntaxError" in done.stderr
    assert "fastnn" not in done.stderr


@pytest.mark.parametrize(
    ("statement", "code"),
    [("sys.exit(3)", 3), ("sys.exit()", 0), ("raise KeyboardInterrupt", 130)],
)
def test_ends(chapter, statement, code, run_fastnn):
    (chapter / "end.py").write_text(f"import sys\nprint('before')\n{statement}\nprint('after')\n")
    done = run_fastnn(chapter, "end.py")
    assert (done.returncode, done.stdout) == (code, "before\n")
    assert ("KeyboardInterrupt" in done.stderr) == (code == 130)


def test_misspelt_modules_and_names(chapter, run_fastnn):
    for number, (statement, words) in enumerate(
        [
            ("from common.optimzer import SGD", ("optimzer", "common.optimizer", "common.layers")),
            ("from common.layers import Rely", ("Rely", "Relu", "SoftmaxWithLoss")),
        ]
    ):
        script = chapter / f"wrong{number}.py"
        script.write_text(f"{statement}\n")
        done = run_fastnn(chapter, script.name)
        assert done.returncode == 1
        assert f'{script.name}", line 1' in done.stderr
        last = done.stderr.splitlines()[-1]
        assert last.startswith(("ModuleNotFoundError: ", "ImportError: "))
        for word in words:
            assert word in last
        assert "fastnn/" not in done.stderr


def test_bad_commands(chapter, run_fastnn):
    missing = run_fastnn(chapter, "missing.py")
    assert missing.returncode == 2
    assert "missing.py" in missing.stderr
    assert "Traceback" not in missing.stderr
    (chapter / "empty.py").write_text("")
    unknown = run_fastnn(chapter, "empty.py", name="dlsf")
    assert unknown.returncode == 2
    assert "dlfs-ja" in unknown.stderr


def test_the_japanese_edition(chapter, run_fastnn):
    (chapter / "edition.py").write_text(
        "from common.functions import sum_squared_error\n"
        "from common.optimizer import Nesterov\n"
        "import numpy as np\n"
        "params, nesterov = {'x': 1.0}, Nesterov(lr=0.5, momentum=0.5)\n"
        "for _ in range(2):\n"
        "    nesterov.update(params, {'x': 1.0})\n"
        "print(params['x'], sum_squared_error(np.ones(2), np.zeros(2)))\n"
    )
    done = run_fastnn(chapter, "edition.py", name="dlfs-ja")
    # 1 - 0.75, v = -0.5; then 0.25 - 0.25 * 0.5 - 0.75
    assert (done.returncode, done.stdout) == (0, "-0.625 1.0\n"), done.stderr
    assert run_fastnn(chapter, "edition.py").returncode == 1
