"""The command line, in processes of its own."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig

import numpy as np
import pytest

import fastnn
from fastnn._cli import info as _info
from fastnn._cli import warmup as _warmup
from fastnn.kernels.codegen import cache
from fastnn.kernels.machine import layout

COMPILES = {"FASTNN_MACHINE_CODE": "jit"}  # also where machine code was made ahead


def run(*arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "fastnn", *arguments],
        env=os.environ | {name: str(value) for name, value in variables.items()},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("command", [[], ["info"], ["warmup"], ["bench"], ["run"]])
def test_help(command):
    done = run(*command, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(" ".join(["usage: python -m fastnn", *command]))


def test_alone_it_prints_its_help():
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run("--help").stdout
    assert all(f"\n    {name} " in done.stdout for name in ("info", "warmup", "bench", "run"))


def test_version():
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"fastnn {fastnn.__version__}\n")


@pytest.mark.slow
def test_installed_script(tmp_path):
    script = shutil.which("fastnn", path=sysconfig.get_path("scripts"))
    assert script, "the tests run where fastnn-kernels is installed"

    def command(*arguments):
        done = subprocess.run([script, *arguments], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    assert command("--version") == (0, f"fastnn {fastnn.__version__}\n", "")
    assert command("run", "--help")[1].startswith("usage: fastnn run [-h] [--as {auto,dlfs,")
    assert command("fly")[::2] == (2, run("fly").stderr.replace("python -m fastnn", "fastnn"))
    (tmp_path / "book.py").write_text(
        "import sys\nimport common.functions\nprint(common.functions.__name__, sys.argv[1:])\n"
    )
    shown = command("run", "--as", "dlfs", str(tmp_path / "book.py"), "-x", "1")
    assert shown == (0, "common.functions ['-x', '1']\n", "")


@pytest.mark.parametrize("argument", ["", "--help", "--version"])
def test_what_needs_no_library_loads_none(argument):
    code = "import runpy, sys\ntry: runpy.run_module('fastnn', run_name='__main__')\nfinally: "
    code += "print(*sys.modules)"
    command = [sys.executable, "-c", code, *filter(None, [argument])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "fastnn._cli.commands" in loaded
    assert not loaded & {"numpy", "numba", "tqdm", "fastnn._bench", "fastnn.config"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["info", "--fly"],
        ["bench", "--family", "fly"],
        ["bench", "--dtype", "float16"],
        ["bench", "--threads", "0"],
        ["bench", "--threads", "1", "many"],
        ["bench", "--threads", "1000000"],
        ["bench", "--rounds", "0"],
    ],
)
def test_bad_arguments(arguments):
    done = run(*arguments)
    assert done.returncode == 2
    assert "usage: python -m fastnn" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_bench_tells_at_once_that_its_file_cannot_be_written(tmp_path):
    done = run("bench", "--json", str(tmp_path / "missing" / "report.json"))
    assert done.returncode == 2
    assert done.stderr.startswith("bench: --json: ")


def test_info(tmp_path):
    variables = {"FASTNN_NUM_THREADS": 1, "FASTNN_VECTOR_BITS": 128}
    done = run("info", FASTNN_CACHE_DIR=tmp_path, **variables, **COMPILES)
    assert done.returncode == 0, done.stderr
    rows = dict(line.split(None, 1) for line in done.stdout.splitlines())
    assert rows["vector"] == "width       128 bits"
    assert rows["threads"].startswith("1 of ")
    assert rows["optimizers"] == "numba"
    assert str(tmp_path) in rows["cache"]
    assert rows["fastnn"] == fastnn.__version__
    starts = {len(line) - len(line[19:].lstrip()) for line in done.stdout.splitlines()}
    assert starts == {19}, "not aligned"
    assert not list(tmp_path.iterdir())


def test_info_says_that_arrays_cannot_be_read(monkeypatch):
    monkeypatch.setattr(layout, "is_known", lambda: False)
    facts = _info.info()
    python, numpy = platform.python_version(), np.__version__
    reason = f"Python {python} or NumPy {numpy} keeps objects in another way than fastnn reads them"
    assert facts["backend"] == "numba"
    assert facts["optimizers"] == {"backend": "numpy", "reason": reason}
    (line,) = (line for line in _info.lines(facts) if line.startswith("optimizers"))
    assert line.split(None, 1)[1] == f"numpy: {reason}"


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_nobody_reads(unbuffered):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "fastnn", "info"]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with open(writing, "w") as pipe:
        done = subprocess.run(
            command, stdout=pipe, stderr=subprocess.PIPE, text=True, env=environment, check=False
        )
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.slow
def test_info_as_json(tmp_path):
    def said():
        return json.loads(run("info", "--json", FASTNN_CACHE_DIR=tmp_path, **COMPILES).stdout)

    folder = said()["cache"]["folder"]
    os.makedirs(folder)
    for name, content in {"a.bin": b"12345", "b.bin": b"1"}.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
    other = os.path.join(os.path.dirname(folder), "older")
    os.makedirs(other)
    with open(os.path.join(other, "c.bin"), "wb") as file:
        file.write(b"123")
    facts = said()
    assert facts["cache"] == {
        "folder": folder,
        "files": 2,
        "bytes": 6,
        "files_of_other_versions": 1,
        "bytes_of_other_versions": 3,
    }
    assert facts["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts["optimizers"] == {"backend": "numba", "reason": ""}
    assert 1 <= facts["threads"]["current"] <= facts["threads"]["available"]


# All that users can call, in other shapes, layouts and dtypes than those of the warm-up.
EVERYTHING = """
import itertools
import numpy as np
from fastnn import MultiLayerNet, MultiLayerNetExtend, Network, Trainer, TwoLayerNet, ops
from fastnn.layers import Affine, Gelu
from fastnn.layers.record import records
from fastnn.program import inference as _inference
from fastnn.trainer import OPTIMIZERS

_inference.WORTH = 1e6

for dtype in ("float32", "float64"):
    def a(*shape):
        return np.random.default_rng(1).random(shape).astype(dtype)

    done = set()
    def call(name, *args, **settings):
        done.add(name)
        getattr(ops, name)(*args, **settings)

    for name in ("relu", "sigmoid", "tanh", "leaky_relu", "elu", "gelu", "silu", "softplus"):
        for shape in ((), (7,), (300, 500), (2, 3, 4)):
            call(name, a(*shape))
            call(name + "_backward", a(*shape), a(*shape))
    call("gelu", a(7), "tanh"), call("gelu_backward", a(7), a(7), approximate="tanh")
    call("softmax", a(30, 7)), call("softmax", a(7, 30).T)
    sizes = 1, 9, 70, 300
    for n, d, h in itertools.product(sizes, sizes, sizes):
        x, W, b, y = a(n, d), a(d, h), a(h), a(n, h)
        for name in ("affine", "affine_relu"):
            call(name, x, W, b), call(name, a(d, n).T, W, b, out=y)
            outputs = [y] if "relu" in name else []
            call(name + "_backward", y, x, W, *outputs)
            call(name + "_backward", y, x, W, *outputs, input_gradient=False)
    for name in [n for n in ops.__all__ if n.startswith("batchnorm")]:
        for shape in ((2, 3), (70, 9), (1000, 70), (2, 3, 4), (3, 300, 9, 9), (100, 2, 3, 3)):
            x, y, s = a(*shape), a(*shape), [a(shape[1]) for _ in range(4)]
            if name == "batchnorm_relu_backward":
                call(name, x, y, *s[:3], y)
            elif name == "batchnorm_backward":
                call(name, x, y, *s[:3])
            else:
                call(name, x, *s)
    for n, c, h, f, k, stride, pad in (
        (1, 1, 1, 1, 1, 1, 0), (20, 2, 9, 7, 3, 2, 3), (3, 70, 30, 800, 3, 1, 1)
    ):
        x, W, side = a(n, c, h, h), a(f, c, k, k), (h + 2 * pad - k) // stride + 1
        call("convolution", x, W, a(f), stride, np.int32(pad))
        for input_gradient in (True, False):
            call("convolution_backward", a(n, f, side, side), x, W, stride, pad,
                 input_gradient=input_gradient)
        call("im2col", x, k, np.int64(k), stride, pad)
        call("col2im", a(n * side * side, c * k * k), x.shape, k, k, stride, pad)
    for shape, window in (((2, 3, 8, 8), (2, 2, 2)), ((2, 3, 9, 8), (3, 2, 1))):
        x = a(*shape)
        y, argmax = ops.max_pool(x, *window)
        call("max_pool", x, *window)
        call("max_pool_backward", y, argmax.astype(int), shape, *window)
        call("max_pool_backward_shared", y, x, y, *window)
    for n, d in itertools.product((1, 300), (1, 700)):
        call("layernorm", a(n, d), a(d), a(d))
        call("layernorm_backward", a(n, d), a(n, d), a(d), a(n), a(n))
    call("mean_squared_error", a(5, 3), a(5, 3)), call("huber", a(5, 3), a(5, 3), 1)
    call("binary_cross_entropy", a(5, 3), np.eye(5, 3)), call("poisson", a(5, 3), np.eye(5, 3))
    for name in ("mean_squared_error", "huber", "binary_cross_entropy", "poisson"):
        call(name, a(5, 3), np.eye(5, 3), weights=np.ones(5))
    call("softmax_cross_entropy", a(5, 3), np.eye(5, 3)[[0, 1, 2, 1, 0]], label_smoothing=1)
    call("softmax_cross_entropy", a(5, 3), [0, 1, 2, 1, 0])
    call("softmax_cross_entropy", a(5, 3), np.zeros((5, 1), np.uint8))
    call("softmax_cross_entropy", a(5, 3), np.eye(3)[[0, 1, 2, 1, 0]])
    call("dropout", a(5), 0.1, 7), call("dropout", a(5, 3), 0.1, 2**64 - 1, 9, inverted=True)
    call("dropout_backward", a(5), np.ones(5, bool), 0.1, inverted=True)
    call("dropout_inference", a(5), 0.1)
    call("permutation", 1000, 2**64 - 1, 3), call("permutation", np.int32(1), 0)
    call("choices", 2**63 - 1, 1000, 1), call("choices", 1, 0, 1)
    for shape in ((3,), (300, 1000)):
        for rule in (kind.rule for kind in OPTIMIZERS.values()):
            arrays = (a(*shape) for _ in range(2 + len(rule.states)))
            call(rule.name, *arrays, **dict.fromkeys(rule.counters, np.int32(1)), weight_decay=1)
        call("adam_", *(a(*shape) for _ in range(4)), np.int32(3), 1, 0, 0, 0,
             decoupled=True, bias_correction="explicit")
    assert done == set(ops.__all__), done ^ set(ops.__all__)

    networks = [
        MultiLayerNetExtend(20, [9, 9], 4, activation, weight_decay_lambda=0.1, dtype=dtype,
                            use_batchnorm=norm, use_dropout=drop)
        for activation, norm, drop in
        itertools.product(("relu", "sigmoid", "tanh"), (False, True), (False, True))
    ]
    networks += [MultiLayerNet(20, [300], 4, dtype=dtype), TwoLayerNet(20, 9, 4, dtype=dtype)]
    kinds = [record.kind() for record in records() if record.activation and not record.parameters]
    stack = [layer for kind in (*kinds, Gelu("tanh")) for layer in (Affine(70), kind)]
    networks.append(Network([*stack, Affine(4)], input_size=20, dtype=dtype))
    x, t = np.random.default_rng(2).random((90, 20)), np.arange(90) % 4
    for network in networks:
        for optimizer in OPTIMIZERS:
            Trainer(network, x, t, x, t, 1, 70, optimizer, verbose=False).train()
            network.fit(x, t, 1, 40, optimizer, (x, t), verbose=False, clip_norm=1, ema=0.9)
            assert network.history.route == "program"
        assert _inference.scores(network, np.tile(x, (2000, 1))) is not None
"""


# Kernels are looked for on disk at their first call in a process. They may be there: to compile all
# of them once more, into a folder of its own, would take minutes.
WARMED = """
from fastnn._cli import warmup as _warmup
from fastnn.kernels.codegen import cache

used = set()
load = cache._KernelCache.load_overload

def note(self, signature, context):
    used.add(self._path(signature, context.codegen()).name)
    return load(self, signature, context)

cache._KernelCache.load_overload = note
for dtype in _warmup.DTYPES:
    for _, call in _warmup.steps(dtype):
        call()
warmed = set(used)
"""


@pytest.mark.slow
def test_after_warmup_nothing_is_left_to_compile():
    code = WARMED + EVERYTHING + "assert used == warmed, used - warmed"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, check=False, env=os.environ | COMPILES,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    again = run("warmup", **COMPILES)
    assert again.returncode == 0, again.stderr
    files = list(cache.folder().glob("*.bin"))
    assert "compiled 0 kernels in " in again.stdout
    assert f"found {len(files)} compiled before; they are in {cache.folder()}" in again.stdout
    count = sum(1 for dtype in _warmup.DTYPES for _ in _warmup.steps(dtype))
    assert f"{count}/{count} kernels, last " in again.stderr  # the progress bar


@pytest.mark.slow
def test_warmup_says_what_has_gone_wrong(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif 'float64' in sys.argv:\n    raise SystemExit('no CPU left')\n"
    )
    done = run("warmup", PYTHONPATH=tmp_path, **COMPILES)
    assert done.returncode == 1
    assert "warmup: " in done.stderr
    assert "no CPU left" in done.stderr


@pytest.mark.slow
def test_warmup_says_when_nothing_can_be_kept(tmp_path):
    done = run("warmup", FASTNN_BACKEND="numpy", FASTNN_CACHE_DIR=tmp_path)
    assert done.returncode == 1
    assert "nothing to compile: FASTNN_BACKEND=numpy" in done.stdout


@pytest.fixture
def without_peers(tmp_path):
    """Return variables with which PyTorch and JAX, where they are installed, are not found."""
    for name in ("torch", "jax"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError({name!r})")
    path = os.environ.get("PYTHONPATH", "")
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, [path])])}


@pytest.mark.slow
def test_bench_prints_tables(without_peers):
    done = run("bench", "--quick", "--family", "affine", "--threads", "1", **without_peers)
    assert done.returncode == 0, done.stderr
    assert "PyTorch: not installed, JAX: not installed" in done.stdout
    assert "affine + ReLU; float32, 1 thread\n" in done.stdout
    (row,) = re.findall(r"^forward +\(512, 512, 512\) +(.*)", done.stdout, re.M)
    us, rate, share, _, ratio, fastest = row.replace(",", "").split()
    assert float(us) * float(rate) == pytest.approx(2 * 512**3 / 1e3, rel=0.01)
    assert int(share.rstrip("%")) > 0
    assert float(ratio) > 0
    assert fastest == "NumPy"
    assert "8/8" in done.stderr  # the progress bar


@pytest.mark.slow
def test_bench_writes_json(without_peers, tmp_path):
    arguments = "bench", "--quick", "--family", "batchnorm", "--family", "activations"
    settings = "--threads", "1", "all", "--dtype", "float64", "--json"
    done = run(*arguments, *settings, "-", **without_peers)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["machine"]["versions"]["fastnn"] == fastnn.__version__
    results = report["results"]
    threads = sorted(
        {1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()}
    )
    assert sorted({r["threads"] for r in results}) == threads
    assert {r["family"] for r in results} == {"batchnorm", "activations"}
    for r in results:
        assert r["dtype"] == "float64"
        assert r["rounds"] >= 5
        assert list(r["seconds"]) == ["fastnn", "NumPy"]
        assert 0 < r["seconds"]["fastnn"]["minimum"] <= r["seconds"]["fastnn"]["median"]
        assert r["ratios"]["NumPy"] > 0
        assert r["limit_per_second"] > 0


@pytest.mark.slow
def test_bench_draws_growth_only_where_it_is_measured(tmp_path):
    path = tmp_path / "growth.png"
    for arguments in (["--family", "affine"], ["--family", "training", "--quick"]):
        done = run("bench", *arguments, "--plot", str(path))
        assert done.returncode == 2
        assert done.stderr == "bench: --plot: draws the family 'growth', which is not measured\n"
    assert not path.exists()


@pytest.mark.slow
def test_bench_measures_training(without_peers):
    arguments = "--quick", "--family", "training", "--threads", "1"
    done = run("bench", *arguments, **without_peers)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^Adam  784-100x4-10, batch 128 +([\d,]+) +(\d+)% +.*x\)", done.stdout, re.M)
    ((rate, share),) = rows
    assert int(rate.replace(",", "")) > 0
    assert int(share) > 0
    assert re.search(r"^Adam  4-32-16-4 ", done.stdout, re.M)


@pytest.mark.slow
def test_bench_tells_of_a_wrong_result(without_peers, tmp_path):
    # What every Python process runs when it starts: products of float32 go wrong in it.
    (tmp_path / "sitecustomize.py").write_text(
        "import numpy as np\n"
        "dot = np.dot\n"
        "def wrong(a, b, out=None):\n"
        "    return dot(a * (1.01 if a.dtype == np.float32 else 1), b, out=out)\n"
        "np.dot = wrong\n"
    )
    families = "--family", "affine", "--family", "batchnorm"
    done = run("bench", "--quick", *families, "--threads", "1", **without_peers)
    assert done.returncode == 1
    message = r"affine: forward \(128, 100, 100\), .*: off by .*"
    assert re.search(rf"^bench: {message}", done.stderr, re.M)
    assert re.search(rf"^WRONG: {message}", done.stdout, re.M)
    # What is right is measured all the same.
    assert re.search(r"^forward \+ backward +\(256, 1024\) +[\d,.]+ ", done.stdout, re.M)
    assert "Traceback" not in done.stderr


def test_bench_prints_what_was_measured_before_a_process_ended(monkeypatch, capsys):
    from fastnn._bench import run as bench
    from fastnn._cli import commands as _cli
    from fastnn.kernels.threading import cpus

    def results(settings):
        if settings.threads > 1:
            raise bench.WorkerError("the measuring process ended with code -9")
        facts = {"family": "affine", "case": "forward", "shape": "(1, 2, 3)", "dtype": "float32"}
        yield {**facts, "threads": 1, "libraries": [], "skipped": "of no use", "unit": None}

    monkeypatch.setattr(bench, "results", results)
    monkeypatch.setattr(cpus, "available", lambda: 2)
    code = _cli.main(["bench", "--quick", "--family", "affine", "--threads", "1", "2"])
    printed = capsys.readouterr()
    assert code == 1
    assert "not measured: forward (1, 2, 3): of no use" in printed.out
    assert "bench: 2 threads: the measuring process ended with code -9" in printed.err
