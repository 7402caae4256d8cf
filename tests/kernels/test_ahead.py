"""Machine code made ahead of time: how it is made, what is refused, and that its bits are those of
a process that compiles for the same level."""

import ctypes
import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
import zipfile
import zipimport
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from processes import environment

import fastnn
import fastnn.kernels
from fastnn._build import levels, linking, objects
from fastnn.kernels.machine import ahead, code
from fastnn.kernels.machine import level as of_level
from fastnn.kernels.machine.level import LEVELS

NAME = "fastnn_sigmoid_32"
HERE = of_level.fitting()

can_build = pytest.mark.skipif(
    HERE is None or sys.platform != "linux" or not (shutil.which("cc") and shutil.which("objdump")),
    reason="no level of this processor, or nothing to link with",
)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return a folder with a library of two kernels and a part, for this processor."""
    folder = tmp_path_factory.mktemp("libraries")
    levels.build([HERE], folder, ["affine", "sigmoid", "fastnn_call"], say=lambda text: None)
    return folder


@pytest.fixture
def copied(small, tmp_path):
    """Return a copy of it, to be spoiled."""
    return Path(shutil.copytree(small, tmp_path / "libraries"))


def library_in(folder):
    return folder / f"{HERE.name}.so"


def change_manifest(folder, **changes):
    path = folder / ahead.MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def call(address, x):
    """Return what a function of one array, and of one as large to be written, makes of it."""
    out = np.empty_like(x)
    words = np.array([x.ctypes.data, out.ctypes.data, x.size, 1, 0, 0], np.int64)
    assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)(words.ctypes.data) == 0
    return out


def numbers():
    return np.linspace(-20, 20, 1003, dtype=np.float32)


@can_build
@pytest.mark.slow
def test_a_library_refers_to_the_c_library_alone(small):
    table = subprocess.run(
        ["nm", "-D", library_in(small)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    refers = {line.split()[-1].partition("@")[0] for line in table if " U " in line}
    has = {line.split()[-1] for line in table if " U " not in line}
    assert refers <= {"memset", "memcpy", "memmove", "sched_yield"}
    names = ("affine", "product", "sigmoid")
    both = {f"fastnn_{name}_{bits}" for name in names for bits in (32, 64)}
    assert has == both | {ahead.POOL, "fastnn_call"}


@can_build
@pytest.mark.slow
def test_what_fits_is_loaded(small):
    found = ahead.load(small)
    assert (found.level, found.path) == (HERE, library_in(small))
    y = call(found.address(NAME), numbers())
    np.testing.assert_allclose(y, 1 / (1 + np.exp(-numbers().astype(float))), rtol=1e-6)
    with pytest.raises(LookupError, match=r"\.so has no fastnn_tanh_32"):
        found.address("fastnn_tanh_32")


def test_where_nothing_was_made_there_is_none(tmp_path):
    assert ahead.load(tmp_path) is None
    assert ahead.load(tmp_path / "package.zip" / "libraries") is None


def damage(folder):
    content = bytearray(library_in(folder).read_bytes())
    content[len(content) // 2] ^= 1
    library_in(folder).write_bytes(content)


def cut(folder):
    library_in(folder).write_bytes(library_in(folder).read_bytes()[:-1])


def put_another(folder):
    """Put a file there that is no library, and that the manifest names."""
    library_in(folder).write_bytes(b"something else")
    digest = hashlib.sha256(b"something else").hexdigest()
    change_manifest(folder, libraries={HERE.name: digest})


def let_others_write(folder):
    library_in(folder).chmod(0o666)


def let_others_write_beside(folder):
    folder.chmod(0o777)


def link_to_where_others_write(folder):
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    library_in(folder).rename(elsewhere / "library")
    library_in(folder).symlink_to(elsewhere / "library")


def put_a_folder(folder):
    library_in(folder).unlink()
    library_in(folder).mkdir()


SPOILT = {
    "damaged": (damage, rf"{HERE and HERE.name}\.so is not what was made"),
    "cut": (cut, r"\.so is not what was made"),
    "missing": (lambda folder: library_in(folder).unlink(), r"\.so cannot be loaded: No such file"),
    "no library": (put_another, r"\.so cannot be loaded"),
    "empty": (lambda folder: library_in(folder).write_bytes(b""), r"\.so is not what was made"),
    "a folder": (put_a_folder, r"\.so cannot be loaded: Is a directory"),
    "written by others": (let_others_write, r"\.so can be written by others"),
    "beside what others write": (let_others_write_beside, "can be written by others"),
    "a link": (link_to_where_others_write, "elsewhere can be written by others"),
    "sources": (lambda folder: change_manifest(folder, sources="0"), "of other sources"),
    "version": (lambda folder: change_manifest(folder, fastnn="0.0"), "of version 0.0"),
    "system": (lambda folder: change_manifest(folder, system="plan9-vax"), "for plan9-vax"),
    "level": (lambda folder: change_manifest(folder, libraries={"x86-64-v9": "0"}), "x86-64-v9"),
    "no manifest": (lambda folder: (folder / ahead.MANIFEST).write_text("{"), "is no manifest"),
    "deep manifest": (
        lambda folder: (folder / ahead.MANIFEST).write_text("[" * 100_000),
        "is no manifest",
    ),
    "other manifest": (lambda folder: change_manifest(folder, libraries=[1]), "is no manifest"),
}


@can_build
@pytest.mark.slow
@pytest.mark.parametrize("case", SPOILT)
def test_what_does_not_fit_is_refused_and_not_loaded(case, copied, monkeypatch):
    spoil, reason = SPOILT[case]
    spoil(copied)
    if case != "no library":  # which the system's loader refuses
        monkeypatch.setattr(ctypes, "CDLL", lambda path: pytest.fail("it was loaded"))
    with pytest.raises(ahead.Refused, match=reason) as caught:
        ahead.load(copied)
    assert str(copied.parent) in str(caught.value)


@can_build
@pytest.mark.slow
def test_links_to_what_is_ours_are_followed(copied, tmp_path):
    """As installers make them, to one copy of a package for many environments."""
    for path in copied.iterdir():
        path.rename(tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    assert ahead.load(copied).level == HERE


@can_build
@pytest.mark.slow
def test_a_frozen_program_has_no_sources_to_be_edited(copied, monkeypatch):
    change_manifest(copied, sources="0")
    monkeypatch.setattr(ahead.sources, "has_files", lambda package: False)
    monkeypatch.setattr(ahead, "__file__", str(copied / "program" / "ahead.pyc"))  # in an archive
    assert ahead.load(copied).level == HERE
    change_manifest(copied, fastnn="0.0")
    with pytest.raises(ahead.Refused, match="of version 0.0"):
        ahead.load(copied)


@pytest.fixture
def choice(monkeypatch, tmp_path):
    """Return a function that lets the process choose anew, with a folder in which nothing fits."""
    (tmp_path / ahead.MANIFEST).write_text("{}")
    monkeypatch.setattr(ahead, "FOLDER", tmp_path)

    def choose(asked=""):
        monkeypatch.setenv("FASTNN_MACHINE_CODE", asked)
        code.library.cache_clear()
        return code.library()

    yield choose
    code.library.cache_clear()


def test_falling_back_is_announced_once(choice, tmp_path):
    with pytest.warns(RuntimeWarning, match=rf"{tmp_path}.*is no manifest; so.*by Numba") as caught:
        assert choice() is None
        assert code.library() is None
        assert code.source().startswith("compiled by Numba, kept in ")
    assert len(caught) == 1 and caught[0].filename == __file__


def test_what_is_asked_for_holds(choice, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choice("jit") is None
        with pytest.raises(RuntimeError, match="FASTNN_MACHINE_CODE: expected.*is no manifest"):
            choice("ahead")
        (tmp_path / ahead.MANIFEST).unlink()
        with pytest.raises(RuntimeError, match=r"none in .*python -m fastnn\.build"):
            choice("ahead")
        assert choice() is None  # nothing was made here: nothing to tell
        with pytest.raises(ValueError, match="FASTNN_MACHINE_CODE: expected one of ahead, jit"):
            choice("numba")


@pytest.fixture
def installed(small, tmp_path):
    """Return a folder with the package in it, as a wheel with libraries installs it."""
    package = Path(fastnn.__file__).parent
    ignored = shutil.ignore_patterns("kernels", "__pycache__", "data")
    shutil.copytree(package, tmp_path / "fastnn", ignore=ignored)
    kernels = tmp_path / "fastnn" / "kernels"
    ignored = shutil.ignore_patterns("__pycache__", "libraries")
    shutil.copytree(Path(fastnn.kernels.__file__).parent, kernels, ignore=ignored)
    shutil.copytree(small, kernels / "libraries")
    return tmp_path


def test_what_cannot_be_read_is_refused(tmp_path, monkeypatch):
    def refuse(path, mode):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ahead.Refused, match=r"manifest\.json cannot be read: Permission denied"):
        ahead.load(tmp_path)


def test_out_of_an_archive_nothing_is_loaded(tmp_path, monkeypatch):
    folder = tmp_path / "package.zip" / "fastnn" / "kernels" / "libraries"
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        archive.writestr(f"fastnn/kernels/libraries/{ahead.MANIFEST}", "{}")
    importer = zipimport.zipimporter(str(tmp_path / "package.zip"))
    monkeypatch.setattr(ahead, "__spec__", ModuleSpec(ahead.__name__, importer))
    with pytest.raises(ahead.Refused, match=r"package\.zip.* it is in an archive"):
        ahead.load(folder)
    assert ahead.load(folder.parent / "others") is None


def run(home, script, **variables):
    told = {**environment(**{"PYTHONPATH": home} | variables), "HOME": str(home / "none")}
    for name in ("FASTNN_MACHINE_CODE", "XDG_CACHE_HOME"):
        told.pop(name, None)
    return subprocess.run(
        [sys.executable, "-W", "default", "-B", "-c", script],
        env=told, cwd=home, capture_output=True, text=True, check=False,
    )  # fmt: skip


USE = """
import sys
import numpy as np
from fastnn import ops
from fastnn.kernels.machine import code
assert ops.sigmoid(np.zeros(3)).tolist() == [0.5] * 3
assert ops.sigmoid([[0, 0]]).tolist() == [[0.5] * 2]
assert (ops.sigmoid(np.zeros(1 << 20)) == 0.5).all()
x = np.ones((300, 200), np.float32)
assert (ops.affine(x, x.T.copy(), np.ones(300, np.float32)) == 201).all()
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"numba", "llvmlite"}))
print(code.source())
"""


@can_build
@pytest.mark.slow
def test_calls_need_no_numba_and_leave_nothing(installed):
    before = sorted(installed.rglob("*"))
    done = run(installed, USE, FASTNN_NUM_THREADS=1)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    modules, source = done.stdout.splitlines()
    assert modules == ""
    path = installed / "fastnn" / "kernels" / "libraries" / f"{HERE.name}.so"
    assert source == f"made ahead for {HERE.name}, {path}"
    assert sorted(installed.rglob("*")) == before


SAY = """
import sys
from fastnn._cli.commands import main
assert main(["info"]) == main(["warmup"]) == 0
assert not {"numba", "llvmlite"} & {*sys.modules}
"""


@can_build
@pytest.mark.slow
def test_the_command_line_says_where_machine_code_comes_from(installed):
    done = run(installed, SAY)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    *facts, warmed = done.stdout.splitlines()
    path = installed / "fastnn" / "kernels" / "libraries" / f"{HERE.name}.so"
    (source,) = (line for line in facts if line.startswith("machine code "))
    assert source.split(None, 2)[2] == f"made ahead for {HERE.name}, {path}"
    assert warmed.startswith("nothing to compile: machine code for this processor came with")


@can_build
@pytest.mark.slow
def test_edited_sources_are_compiled(installed):
    with (installed / "fastnn" / "kernels" / "layers" / "activations.py").open("a") as file:
        file.write("# edited\n")
    done = run(
        installed, "from fastnn.kernels.machine import code\nfor _ in '12': print(code.library())"
    )
    assert done.stdout.split() == ["None", "None"]
    assert done.stderr.count("RuntimeWarning") == done.stderr.count("of other sources") == 1


def guarded():
    """Call what the library has on arrays beside pages that end the process that touches them."""
    from fastnn import ops
    from tests.attack.guarded import Slot, place

    assert code.source().startswith("made ahead")
    slots = [Slot(1 << 19) for _ in range(4)]
    around = {HERE.bits // bits + d for bits in (32, 64) for d in (-1, 1)}  # a vector
    sizes = sorted({1, 2, 7, 33} | around)
    rng = np.random.default_rng(1124)
    products = [(n, d, h) for n in (1, 7) for d in (1, 33) for h in sizes] + [(70, 300, 131)]
    for dtype in ("float32", "float64"):
        for at_end in (False, True):

            def placed(*arrays, at_end=at_end, dtype=dtype):
                return [
                    place(slot, array.astype(dtype), "plain", at_end, True)
                    for slot, array in zip(slots, arrays, strict=False)
                ]

            for size in (*sizes, 1003):
                x, out = placed(rng.random(size), np.zeros(size))
                ops.sigmoid(x.array, out=out.array)
                assert x.unchanged() and out.unchanged_around(), size
            for n, d, h in products:
                shapes = (n, d), (d, h), h, (n, h)
                *given, out = placed(*(rng.random(shape) for shape in shapes))
                ops.affine(*(each.array for each in given), out=out.array)
                assert out.unchanged_around() and all(each.unchanged() for each in given), shapes
                right = given[0].array @ given[1].array + given[2].array
                room = 2 * (d + 1) * np.finfo(dtype).eps  # all terms are positive
                np.testing.assert_allclose(out.array, right, rtol=room)


GUARDED = """
import test_ahead
test_ahead.guarded()
print("done")
"""


@can_build
@pytest.mark.slow
def test_nothing_is_touched_outside_the_arrays(installed):
    """In a process of its own: a stray access ends it. Whole libraries: `make test-wheel`."""
    here = Path(__file__).parent
    paths = [installed, here, here.parent / "support", here.parents[1]]
    variables = {"FASTNN_NUM_THREADS": 1, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    done = run(installed, GUARDED, **variables)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.strip() == "done"


# Compiles a kernel as any process does, and says what it makes of numbers.
COMPILED = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import test_ahead
from fastnn.kernels.machine import code
address = code.address("sigmoid", np.dtype(np.float32))
print(hashlib.sha256(test_ahead.call(address, test_ahead.numbers())).hexdigest())
"""


@can_build
@pytest.mark.slow
@pytest.mark.parametrize(
    "level", [each for each in LEVELS if of_level.is_reached(each)], ids=lambda each: each.name
)
def test_bits_are_those_of_a_process_that_compiles_for_the_level(level, small, tmp_path):
    folder = small
    if level != HERE:
        folder = tmp_path
        levels.build([level], folder, ["sigmoid"], say=lambda text: None)
    found = ahead.Library(level, folder / f"{level.name}.so")
    own = hashlib.sha256(call(found.address(NAME), numbers())).hexdigest()
    done = subprocess.run(
        [sys.executable, "-c", COMPILED, str(Path(__file__).parent)],
        env={**objects.environment(level), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == own, done.stderr


OLD = {"SSE3", "SSSE3", "SSE41", "SSE42", "POPCNT", "AVX", "AVX2", "FMA3", "F16C"}
LINUX = {"cx16", "lahf_lm", "abm", "bmi1", "bmi2", "movbe"}


@pytest.mark.parametrize(
    "features, flags, bits, expected",
    [
        ({"X86_V2", "X86_V3", "X86_V4"}, set(), "", "x86-64-v4"),  # NumPy of today
        ({"X86_V2", "X86_V3", "X86_V4"}, set(), "256", "x86-64-v3"),
        ({"X86_V2", "X86_V3"}, set(), "", "x86-64-v3"),
        ({"X86_V2", "X86_V3"}, set(), "512", None),  # two registers a vector: not made ahead
        ({"X86_V2"}, set(), "", "x86-64-v2"),
        (OLD, LINUX, "", "x86-64-v3"),  # NumPy before it had names for levels
        (OLD, LINUX - {"bmi2"}, "", None),
        (OLD - {"FMA3"}, LINUX, "", None),
        (OLD | {"AVX512F", "AVX512CD"}, LINUX, "", None),  # Knights Landing
        (OLD | {"AVX512F", "AVX512CD", "AVX512BW", "AVX512DQ", "AVX512VL"}, LINUX, "", "x86-64-v4"),
        ({"SSE3"}, LINUX, "", None),
        (set(), set(), "", None),
    ],
)
def test_the_level_is_what_the_processor_has(features, flags, bits, expected, monkeypatch):
    from fastnn.kernels.plain import level as plain

    monkeypatch.setenv("FASTNN_VECTOR_BITS", bits)
    monkeypatch.setattr(of_level.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(of_level, "_flags", lambda: frozenset(flags))
    for module in (plain, of_level):
        monkeypatch.setattr(module, "features", lambda: frozenset(features))
    monkeypatch.setattr(of_level, "vector_bits", plain.vector_bits.__wrapped__)
    found = of_level.fitting()
    assert (found and found.name) == expected


def test_wheels_say_what_they_need():
    assert linking.platform_tag(["2.2.5", "2.17", ""]).startswith("manylinux_2_17_")
    assert linking.platform_tag(["2.2.5", "2.29"]).startswith("manylinux_2_29_")
    assert linking.platform_tag([""]).startswith("linux_")


def test_without_a_compiler_nothing_is_compiled(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "/no/compiler")
    monkeypatch.setattr(levels, "_compile", lambda *args: pytest.fail("it was compiled"))
    with pytest.raises(linking.BuildError, match="no /no/compiler here: .* C compiler.* CC"):
        levels.build([LEVELS[0]], tmp_path / "libraries")
    assert not list(tmp_path.iterdir())


@can_build
def test_a_library_that_refers_to_others_is_not_made(tmp_path):
    source = tmp_path / "f.c"
    source.write_text('int puts(const char *); int fastnn_f(void) { return puts(""); }\n')
    subprocess.run(["cc", "-c", "-fPIC", source, "-o", tmp_path / "f.o"], check=True)
    linking.link(tmp_path, tmp_path / "f.so")
    with pytest.raises(linking.BuildError, match=re.escape("f.so refers to puts")):
        linking.undefined(tmp_path / "f.so")


@can_build
def test_a_compiler_that_ends_ends_the_others_and_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(objects, "environment", lambda level: {"PYTHONHOME": "/nowhere"})
    with pytest.raises(linking.BuildError, match=rf"(?s)^{LEVELS[0].name}: .*/nowhere"):
        levels.build(LEVELS[:1], tmp_path / "libraries", ["relu"], say=lambda text: None)
    assert not (tmp_path / "libraries").exists()
