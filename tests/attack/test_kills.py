"""Kills of writers: a slice, the search for writers, and a fault that must be found."""

import ast
from pathlib import Path

import pytest

from tests.attack import kills
from tests.attack.machine import files
from tests.attack.writers import OTHERS, WRITERS, Writer

WRITING = {
    "copyfile", "dump", "memmap", "mkdir", "mkdtemp", "mkstemp", "move", "NamedTemporaryFile",
    "open_memmap", "rename", "replace", "replacing", "save", "savefig", "savetxt", "savez",
    "savez_compressed", "symlink", "TemporaryDirectory", "TemporaryFile", "tofile", "touch",
    "truncate", "write_bytes", "write_text",
}  # fmt: skip
MODULES = {"json", "np", "numpy", "os", "pathlib", "pickle", "shutil", "tempfile"}


def writes(call):
    """Say whether a call is one that makes or changes a file."""
    function = call.func
    if isinstance(function, ast.Name):
        name, module = function.id, ""
    elif isinstance(function, ast.Attribute):
        name = function.attr
        module = function.value.id if isinstance(function.value, ast.Name) else "?"
    else:
        return False
    constants = [each.value for each in ast.walk(call) if isinstance(each, ast.Constant)]
    if name in ("fdopen", "open"):
        if name == "open" and module == "os":
            return any("O_RDONLY" not in ast.unparse(arg) for arg in call.args[1:2])
        modes = [*call.args[1:2], *(word.value for word in call.keywords if word.arg == "mode")]
        # A mode that is no constant may be any.
        return any(
            not isinstance(mode, ast.Constant) or {*"wax+"} & {*str(mode.value)} for mode in modes
        )
    if name == "memmap":
        return any(mode in constants for mode in ("w+", "r+"))
    if name in ("replace", "save", "dump", "copyfile", "move", "rename"):
        return module in MODULES
    return name in WRITING or (name == "append_logs" and module == "?")


def places():
    """Return the functions that write, as file:function."""
    found = set()
    for name, path in files().items():
        if path.suffix == ".py":
            for function in ast.walk(ast.parse(path.read_text())):
                if isinstance(function, ast.FunctionDef):
                    calls = (each for each in ast.walk(function) if isinstance(each, ast.Call))
                    found |= {f"{name}:{function.name}" for call in calls if writes(call)}
    return found


def test_each_place_that_writes_is_of_a_writer():
    known = {place for writer in WRITERS for place in writer.places}
    found = places()
    assert known <= found, "places that do not write any more"
    unknown = {place for place in found - known if not place.startswith(tuple(OTHERS))}
    assert not unknown, "who kills these? see tests/attack/writers.py"
    assert all(any(place.startswith(other) for place in found) for other in OTHERS)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("open(p)", False), ("open(p, 'rb')", False), ("open(p, 'wb')", True),
        ("open(p, mode)", True), ("path.open('r')", False), ("text.replace('a', 'b')", False),
        ("os.replace(a, b)", True), ("os.open(p, os.O_RDONLY | x)", False),
        ("os.open(p, os.O_WRONLY)", True), ("np.savez(p)", True), ("path.write_text('')", True),
        ("net.save(p)", False), ("np.save(p, a)", True), ("pickle.dump(a, f)", True),
    ],
)  # fmt: skip
def test_what_writes(call, expected):
    assert writes(ast.parse(call).body[0].value) is expected


@pytest.mark.slow
def test_a_slice():
    assert kills.attack(2, 0).failures == ()


class InPlace(Writer):
    """A writer that is not atomic."""

    name, places = "in place", ()

    def begin(self, folder):
        (folder / "file").write_text("old")

    def write(self, folder):
        with open(folder / "file", "w") as file:
            for _ in range(3):
                file.write("new")
                file.flush()

    def look(self, folder):
        return (folder / "file").read_text()

    def end(self, folder, seen):
        assert seen in ("old", "newnewnew"), seen
        return self.look(folder)


class Littering(Writer):
    """One that leaves a file behind."""

    name, places = "littering", ()

    def write(self, folder):
        part = folder / str(len([*folder.iterdir()]))
        part.write_text("new")
        part.rename(folder / "file")

    def end(self, folder, seen):
        return None


@pytest.mark.slow
@pytest.mark.parametrize(("writer", "message"), [(InPlace(), "new"), (Littering(), "is left")])
def test_planted_faults_are_found(writer, message):
    made, failures = kills.kills_of(writer, 12, 0)
    assert made == 12
    assert any(message in failure for failure in failures)
    assert len(failures) < 12


def test_an_unwilling_writer_ends_the_attack(tmp_path: Path):
    class Raising(InPlace):
        def write(self, folder):
            raise ZeroDivisionError

    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        kills.kills_of(Raising(), 1, 0)
