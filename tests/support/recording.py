"""Record the bits of what fastnn computes, to see whether a change has moved any.

In a clone as it was before the change, and in one as it is after it, with the same vector width::

    python tests/support/recording.py record before.json --files folder
    python tests/support/recording.py record after.json --load folder
    python tests/support/recording.py compare before.json after.json

``record`` writes a digest of each case (SHA-256; names, dtypes and shapes); the cases stand in
the modules of ``recorded``, beside this one. With ``--files`` it keeps the files of networks and
checkpoints that it writes and reads again; with ``--load`` it reads those of another recording
instead. ``compare`` lists what differs or is missing in the second recording, and returns 1 if
anything does; what is new there it lists only.

Cases take public names only, so that the same ones run on both sides of a move. All NaNs count as
the same one. Texts and times are not recorded; of an error, its type is.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import time
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np

SECTIONS = "functions", "trainings", "techniques", "files", "dropins"


def _leaves(value, key=""):
    """Yield key and content, an array or a text, of all that a value consists of."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(each, f"{key}.{name}")
    elif isinstance(value, (list, tuple)) and not all(isinstance(v, (int, float)) for v in value):
        for i, each in enumerate(value):
            yield from _leaves(each, f"{key}.{i}")
    elif value is None or isinstance(value, str):
        yield key, str(value)
    else:
        yield key, np.asarray(value)


def digest(value):
    """Return what tells a value, of arrays and numbers in dicts and lists, from all others."""
    bits, parts = hashlib.sha256(), []
    for key, leaf in _leaves(value):
        if isinstance(leaf, np.ndarray):
            part = f"{key} {leaf.dtype} {leaf.shape}"
            if leaf.dtype.kind not in "fiub":
                raise TypeError(f"{key}: expected numbers, got {leaf.dtype}")
            if leaf.dtype.kind == "f":
                leaf = np.where(np.isnan(leaf), leaf.dtype.type(np.nan), leaf)
            bits.update(leaf.tobytes())
        else:
            part = f"{key} {leaf}"
        bits.update(part.encode())
        parts.append(part.strip(". "))
    return {"sha256": bits.hexdigest(), "of": "; ".join(parts)}


def record(path, files, load):
    """Write the recording of all cases."""
    from threadpoolctl import threadpool_limits

    print(f"recording {Path(import_module('fastnn').__file__).resolve().parent}")
    recording = {}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(load or files or folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in SECTIONS:
            section = import_module(f"recorded.{name}")
            start, before = time.perf_counter(), len(recording)
            with threadpool_limits(1):  # the number of threads may change NumPy's products
                given = (folder, load is None) if name == "files" else ()
                for case, value in section.cases(*given):
                    if f"{name}/{case}" in recording:
                        raise ValueError(f"there are two cases {name}/{case}")
                    recording[f"{name}/{case}"] = digest(value)
            seconds = time.perf_counter() - start
            print(f"{name}: {len(recording) - before} cases in {seconds:.1f} s", flush=True)
    Path(path).write_text(json.dumps(recording, indent=0), encoding="utf-8")


def compare(path, other):
    """Print in which cases two recordings differ; return whether they do."""
    before, after = (json.loads(Path(p).read_text(encoding="utf-8")) for p in (path, other))
    differing = [case for case in before if case in after and before[case] != after[case]]
    missing = [case for case in before if case not in after]
    new = [case for case in after if case not in before]
    for what, found in (("differs", differing), ("missing", missing), ("new", new)):
        for case in found:
            print(f"{what}: {case}")
    for case in differing:
        was, became = (set(each[case]["of"].split("; ")) for each in (before, after))
        if was != became:
            print(f"{case} had {sorted(was - became)}, has {sorted(became - was)}")
    print(
        f"{len(before)} cases: {len(differing)} differ, {len(missing)} are missing, "
        f"{len(new)} are new"
    )
    return bool(differing or missing)


def main(given=None):
    """Carry out what the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    recorder = commands.add_parser("record", help="write a recording")
    recorder.add_argument("file")
    folders = recorder.add_mutually_exclusive_group()
    folders.add_argument("--files", metavar="FOLDER", help="where to write networks, checkpoints")
    folders.add_argument("--load", metavar="FOLDER", help="where others have been written")
    comparer = commands.add_parser("compare", help="compare two recordings")
    comparer.add_argument("file")
    comparer.add_argument("other")
    args = parser.parse_args(given)
    if args.command == "compare":
        return int(compare(args.file, args.other))
    record(args.file, args.files, args.load)
    return 0


if __name__ == "__main__":
    sys.exit(main())
