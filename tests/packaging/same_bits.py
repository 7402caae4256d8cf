"""Compare machine code made ahead with what a process compiles for the same level: bit for bit.

`python tests/packaging/same_bits.py FOLDER` takes all levels that this processor has, of the
libraries in a folder; of each all kernels, on one thread and on several pieces, and trainings by
all optimizers, with all activations. It compiles all kernels once a level: that takes minutes. With
names behind the folder it takes these kernels alone, and no trainings.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
DTYPES = ("float32", "float64")
SIZES = ((1, 1), (3, 17), (33, 70), (130, 257))
ACTIVATIONS = ("Relu", "LeakyRelu", "Elu", "Gelu", "Silu", "Softplus", "Sigmoid", "Tanh")


def _digest(arrays):
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(array.tobytes())
    return whole.hexdigest()


def of_kernels(names):
    """Yield the name and the digest of what each kernel writes, for each dtype, size, cut."""
    sys.path.insert(0, str(TESTS / "kernels"))
    import numpy as np
    from test_twins import CASES, Draw

    from fastnn import kernels

    for name in sorted(names or CASES):
        for dtype in DTYPES:
            for number, (n, d) in enumerate(SIZES):
                for chunks in (1, 3):
                    draw = Draw(np.random.default_rng(number), n, d, np.dtype(dtype), number == 1)
                    args = CASES[name].make(draw)
                    getattr(kernels, name)(*args.values(), chunks)
                    written = [args[key] for key in CASES[name].written if args[key] is not None]
                    yield f"{name} {dtype} {n} x {d}, {chunks}", _digest(written)


def of_trainings():
    """Yield the name of a training and the digest of what it has learnt."""
    import numpy as np

    from fastnn import Network, layers, optimizers

    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((300, 30)), rng.integers(0, 5, 300)
    stacks = [(rule, "Relu") for rule in optimizers.OPTIMIZERS]
    stacks += [("sgd", name) for name in ACTIVATIONS]
    stacks += [("adam", "GeluTanh")]
    for dtype in DTYPES:
        for rule, name in stacks:
            made = layers.Gelu("tanh") if name == "GeluTanh" else getattr(layers, name)()
            stack = [layers.Affine(40), layers.BatchNormalization(), made, layers.Dropout(0.2)]
            net = Network([*stack, layers.Affine(5)], input_size=30, dtype=dtype, seed=0)
            history = net.fit(x, t, 2, 32, rule, verbose=False, seed=0)
            yield f"{rule}, {name} {dtype}", _digest([*net.params.values(), net.predict(x)])
            assert history.route == "program", history.reason


def results(folder, names):
    """Print what this process computes, as JSON, with what is in a folder if asked for."""
    from fastnn.kernels.machine import ahead, code

    ahead.FOLDER = Path(folder)
    found = dict(of_kernels(names))
    if not names:
        found |= dict(of_trainings())
    print(json.dumps({"machine code": code.source(), "found": found}))


def differing(level, folder, names=()):
    """Return the names of results with other bits, and how many there are in all."""
    from fastnn._build import objects

    variables = objects.environment(level)
    found = []
    for wanted in ("ahead", "jit"):
        done = subprocess.run(
            [sys.executable, __file__, "--results", str(folder), *names],
            env={**variables, "FASTNN_MACHINE_CODE": wanted},
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        found.append(json.loads(done.stdout.splitlines()[-1]))
    (ahead, compiled) = (each["found"] for each in found)
    assert f"made ahead for {level.name}," in found[0]["machine code"]
    assert "compiled" in found[1]["machine code"] and ahead.keys() == compiled.keys()
    return [name for name in ahead if ahead[name] != compiled[name]], len(ahead)


def main():
    """Compare; the exit code says whether all bits are the same."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="of libraries, as fastnn.build makes it")
    parser.add_argument("names", nargs="*", help="of kernels")
    parser.add_argument("--results", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--level", help="this one alone")
    parsed = parser.parse_args()
    if parsed.results:
        results(parsed.folder, parsed.names)
        return 0
    from fastnn.kernels.machine.level import is_reached, of_machine

    others = []
    for level in of_machine():
        if is_reached(level) and parsed.level in (None, level.name):
            names, count = differing(level, parsed.folder.resolve(), parsed.names)
            print(f"{level.name}: {count - len(names)} of {count} results have the same bits")
            others += names
    print(*others, sep="\n", end="\n" if others else "")
    return 1 if others else 0


if __name__ == "__main__":
    sys.exit(main())
