"""What is built and installed: the wheel, the source distribution, an editable install."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.repository]

ROOT = Path(__file__).parents[2]


def sources():
    """Return the paths of all modules, from the root of the repository; links are not followed."""
    found = [path for folder in ("fastnn", "kernels") for path in (ROOT / folder).rglob("*.py")]
    return {path.relative_to(ROOT).as_posix() for path in found}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Return a copy of the repository as git has it, and of files that were left in it."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    for name in sources() | {"fastnn/py.typed", "fastnn/datasets/data/mnist_subset.npz"}:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name in ("build/lib/fastnn/older.py", "fastnn/notes.txt", "fastnn/layers.py.orig"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    subprocess.run([*command, "--quiet", "--no-deps"], check=True)


def files(folder):
    """Return what is in a folder, but for what Python keeps of `hatch_build.py`."""
    return sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)


@pytest.fixture(scope="module")
def wheel(clone, tmp_path_factory):
    before = files(clone)
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", clone, "--wheel-dir", folder)
    assert files(clone) == before, "building leaves files behind"
    (path,) = folder.glob("*-py3-none-any.whl")
    return path


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_contents(wheel):
    modules = {re.sub("^kernels/", "fastnn/kernels/", name) for name in sources()}
    assert "fastnn/kernels/gemm/multiply.py" in modules and "fastnn/ops/affine.py" in modules
    assert contents(wheel) == modules | {"fastnn/py.typed", "fastnn/datasets/data/mnist_subset.npz"}


def test_wheel_of_the_source_distribution_is_the_same(clone, wheel, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "build", "--sdist", "--outdir", tmp_path, clone],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (path,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        assert not [name for name in archive.getnames() if "build" in name.split("/")]
    pip("wheel", path, "--wheel-dir", tmp_path)
    assert contents(*tmp_path.glob("*.whl")) == contents(wheel)


def test_a_wheel_with_machine_code_is_for_one_platform(clone, tmp_path, monkeypatch):
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    manifest = {"wheel": "manylinux_2_17_x86_64", "libraries": {"x86-64-v3": "0"}}
    (libraries / "manifest.json").write_text(json.dumps(manifest))
    (libraries / "x86-64-v3.so").write_bytes(b"machine code")
    monkeypatch.setenv("FASTNN_LIBRARIES", str(libraries))
    pip("wheel", clone, "--wheel-dir", tmp_path)
    (path,) = tmp_path.glob("*.whl")
    assert path.name.endswith("-py3-none-manylinux_2_17_x86_64.whl")
    names = {name for name in contents(path) if not name.endswith((".py", ".typed", ".npz"))}
    folder = "fastnn/kernels/libraries"
    assert names == {f"{folder}/manifest.json", f"{folder}/x86-64-v3.so"}


WORK = """
import sys
from pathlib import Path
import numpy as np
import fastnn, fastnn.kernels
from fastnn.datasets import load_mnist
home = Path(sys.argv[1])
assert Path(fastnn.__file__).is_relative_to(home), fastnn.__file__
assert Path(fastnn.kernels.__file__).is_relative_to(home), fastnn.kernels.__file__
(x, t), _ = load_mnist(subset="bundled")
net = fastnn.MultiLayerNet(784, [20], 10, seed=0)
before = net.loss(x[:100], t[:100])
optimizer = fastnn.optimizers.Adam()
for _ in range(20):
    optimizer.update(net.params, net.gradient(x[:100], t[:100]))
assert net.loss(x[:100], t[:100]) < before
print(fastnn.__version__)
"""


def test_it_works_from_another_folder(wheel, tmp_path):
    home = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(home)
    done = subprocess.run(
        [sys.executable, "-c", WORK, home],
        cwd=tmp_path,
        env=dict(os.environ, PYTHONPATH=str(home)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    version = re.search(r"^version = \"(.+)\"$", (ROOT / "pyproject.toml").read_text(), re.M)
    assert done.stdout.strip() == version[1]


@pytest.fixture
def installed(wheel, tmp_path):
    """Return a folder with the wheel in it, as an installer leaves it."""
    home = tmp_path / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(home)
    return home


def run(python, *arguments, **variables):
    """Run Python in a folder that is not the repository."""
    return subprocess.run(
        [python, *arguments],
        cwd=os.sep,
        env=os.environ | {name: str(value) for name, value in variables.items()},
        capture_output=True,
        text=True,
        check=False,
    )


def test_another_project_of_this_name(installed):
    def ours(*arguments):
        done = run(sys.executable, *arguments, PYTHONPATH=installed)
        assert done.returncode == 0, done.stderr
        return done

    assert ours("-c", "import fastnn").stderr == ""
    info = "-m", "fastnn", "info"
    facts = json.loads(ours(*info, "--json").stdout)["installation"]
    assert facts == {"folder": str(installed / "fastnn"), "mixed_with": [], "changed_files": []}

    # Another project is installed into the same folder, over our files.
    theirs = installed / "fastnn-2.0.dist-info"
    theirs.mkdir()
    (theirs / "METADATA").write_text("Metadata-Version: 2.1\nName: fastnn\nVersion: 2.0\n")
    (installed / "fastnn" / "trainer.py").write_text("# theirs\n")
    warned = ours("-c", "import fastnn").stderr
    assert warned.startswith(f"<string>:1: RuntimeWarning: {theirs} is of another project")
    assert "pip uninstall fastnn fastnn-kernels" in warned
    # Then `import fastnn` may be theirs, which does not warn.
    (installed / "fastnn" / "__init__.py").write_text("")
    assert ours("-c", "import fastnn").stderr == ""
    text = ours(*info).stdout
    assert f"\nmixed with         {theirs}\n" in text
    assert "\nchanged files      fastnn/__init__.py, fastnn/trainer.py\n" in text


@pytest.fixture(scope="module")
def editable(clone, tmp_path_factory):
    """Return the Python of an environment in which the clone is installed as editable."""
    home = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    pip("--python", python, "install", "--editable", clone)
    # What it depends on is that of the environment of the tests.
    found = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    theirs = [path for path in sys.path if path.endswith("-packages")]
    Path(found.stdout.strip(), "zz_tests.pth").write_text("\n".join(theirs))
    return python


def test_editable_install(editable, clone):
    """Edits and new files are seen at once; nothing else of the clone can be imported."""
    script = """
import importlib.util
import fastnn.kernels.codegen.cache
assert not [name for name in ("kernels", "tests") if importlib.util.find_spec(name)]
print(fastnn.__file__, fastnn.kernels.__file__, fastnn.kernels.codegen.cache.folder(), sep="\\n")
"""

    def found():
        done = run(editable, "-c", script)
        assert done.returncode == 0, done.stderr
        package, kernels, folder = map(Path, done.stdout.split())
        assert package.samefile(clone / "fastnn" / "__init__.py")
        assert kernels.samefile(clone / "kernels" / "__init__.py")
        return folder

    before = found()
    (clone / "kernels" / "new.py").write_text("x = 1\n")
    (clone / "fastnn" / "newer.py").write_text("from fastnn.kernels.new import x\n")
    after = found()
    assert before != after
    done = run(editable, "-c", "import fastnn.newer; print(fastnn.newer.x)")
    assert done.stdout == "1\n", done.stderr
    (clone / "kernels" / "new.py").write_text("x = 2\n")
    assert found() not in (before, after)
    (clone / "kernels" / "new.py").unlink()
    (clone / "fastnn" / "newer.py").unlink()
    assert found() == before


TYPED = """
import fastnn
from fastnn import MultiLayerNet
from fastnn.kernels.codegen.cache import folder

reveal_type(MultiLayerNet(4, [3], 2).predict)
reveal_type(fastnn.datasets.load_mnist()[0][0])
reveal_type(fastnn.__version__)
reveal_type(folder())
fastnn.optimizers.Adam(lr="high")
fastnn.layer
"""


def test_types_of_an_editable_install_are_found(editable, tmp_path):
    (tmp_path / "script.py").write_text(TYPED)
    command = "-m", "mypy", "--strict", "--python-executable", editable, "--no-error-summary"
    done = run(sys.executable, *command, "--cache-dir", tmp_path / "cache", tmp_path / "script.py")
    lines = [line.split(": ", 2)[1:] for line in done.stdout.splitlines()]
    assert [kind for kind, _ in lines] == ["note"] * 4 + ["error"] * 2, done.stdout + done.stderr
    for (_, text), part in zip(
        lines,
        (
            "def (x:",
            '"numpy.ndarray[',
            'str"',
            '"pathlib.',
            'Argument "lr" to "Adam" has incompatible type "str"',
            'Module has no attribute "layer"; maybe "layers"?',
        ),
        strict=True,
    ):
        assert part in text
