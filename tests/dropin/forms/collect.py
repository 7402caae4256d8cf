"""Write ``fastnn/dropin/_known.py``: digests of the definitions that fastnn's stand for.

Run by a maintainer, with folders that hold ``common`` and ``dataset`` of an edition::

    python tests/dropin/forms/collect.py dlfs=FOLDER dlfs-ja=FOLDER ...

one for each state of a repository's history that people may have. The transcriptions of ``common``
beside this script are always among them. Of the text nothing is kept. A form that does something
else than ours belongs into ``REFUSED``: read the differences that ``--show`` prints before you add
a state.
"""

import ast
import difflib
import sys
from pathlib import Path

from fastnn.dropin import _forms
from fastnn.dropin._sources import SOURCES

HERE = Path(__file__).parent
TARGET = HERE.parents[2] / "fastnn/dropin/_known.py"
OWN = {"dlfs": HERE.parent / "numpy_dlfs", "dlfs-ja": HERE.parent / "numpy_dlfs_ja"}

REFUSED = {
    "d991c3080f20bf0b": "batch normalisation with statistics for each sample's channels",
    "117ae957062b8bb6": "a network whose accuracy fails for one-hot targets",
    "f2130119325ec485": "the same, and its gradient forgets the weight decay",
    "ab4c4eea5d58cf67": "a trainer with other names",
}
# What differs between editions by nothing but what it calls.
CALLERS = ("Trainer", "softmax_loss")
# Whose they are, where it is not the edition in which they were found.
OF = {
    "f73336421db128c3": ("dlfs",),  # softmax along axis 1
    "68ecdc72212d6b3e": ("dlfs-ja",),  # along the last axis
    "3d3422a5b691c2a9": ("dlfs",),  # Nesterov, the velocity first
    "8e9dc2f58e49f7ec": ("dlfs-ja",),
    "17076a3955951cf7": ("dlfs-ja-later",),  # numerical gradients with steps of the array's dtype
    "8edf2296c04322f4": ("dlfs-older",),  # cross-entropy without 1e-7
    "2347dc0a8ecdfd8e": ("dlfs-older",),  # pooling with a stride of 1 by default
}

# The transcription as it would be of an older state: edits of its text, by module.
OLDER = {
    "common.functions": ("cross_entropy_error", " + 1e-7", ""),
    "common.layers": ("Pooling", "stride=2", "stride=1"),
}

HEAD = '''"""Digests of the definitions that fastnn's stand for.

Written by tests/dropin/forms/collect.py. A line has a module, a name, the editions whose object of
that name stands for a form, and the form's digest.
"""

KNOWN = """\\
'''


def found(folders):
    """Yield module, name, edition and definition for all that folders hold."""
    for edition, folder in folders:
        for module in SOURCES["dlfs"].modules:
            file = Path(folder, *module.split(".")).with_suffix(".py")
            if file.exists() and (folder not in OWN.values() or module.startswith("common")):
                tree = ast.parse(file.read_text(encoding="utf-8"))
                for name, node in _forms.definitions(tree).items():
                    yield module, name, edition, node


def older():
    """Yield module, name and digest for definitions of the transcription, made older."""
    for module, (name, old, new) in OLDER.items():
        text = Path(OWN["dlfs"], *module.split(".")).with_suffix(".py").read_text(encoding="utf-8")
        yield (
            module,
            name,
            _forms.digest(_forms.definitions(ast.parse(text.replace(old, new)))[name]),
        )


def _editions(name, digest, its):
    """Return whose object of a name stands for a form: of both editions if they share it."""
    if digest in OF:
        return OF[digest]
    apart = name in SOURCES["dlfs-ja"].others and name not in CALLERS
    return tuple(sorted(its)) if apart else ("dlfs", "dlfs-ja")


def main(arguments):
    """Collect from the folders that the arguments name."""
    show = "--show" in arguments
    given = [tuple(a.split("=", 1)) for a in arguments if a != "--show"]
    editions, texts = {}, {}
    for module, name, edition, node in found([*given, *OWN.items()]):
        digest = _forms.digest(node)
        editions.setdefault((module, name), {}).setdefault(digest, set()).add(edition)
        texts[digest] = ast.unparse(node)
    for module, name, digest in older():
        OF[digest] = ("dlfs-older",)
        editions[module, name].setdefault(digest, {"dlfs-older"})
    lines = []
    for (module, name), forms in sorted(editions.items()):
        groups = {}
        for digest, its in forms.items():
            if digest not in REFUSED:
                groups.setdefault(_editions(name, digest, its), []).append(digest)
        for its, digests in sorted(groups.items()):
            lines += [f"{module} {name} {','.join(its)} {each}" for each in sorted(digests)]
        shown = [texts[digest].splitlines() for digest in forms if digest in texts]
        if show and len(shown) > 1:
            print("###", module, name, *forms)
            first, *others = shown
            for other in others:
                print("\n".join(difflib.unified_diff(first, other, lineterm="", n=1)))
    TARGET.write_text(HEAD + "\n".join(lines) + '\n"""\n', encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
