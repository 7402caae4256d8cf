"""New processes: from their start to a first result, and the size of what they load."""

from __future__ import annotations

import contextlib
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastnn._bench.case import Arrays, Case
from fastnn._bench.layout import Result, rivals
from fastnn._bench.measure import Libraries, identity
from fastnn._bench.settings import Settings
from fastnn._bench.starts import machine_code, process, scripts
from fastnn._bench.starts.limits import Above, Limit, Most, Share, seconds
from fastnn._bench.starts.process import Usage

TITLE = "start: CPU time of a new process, from its start to a result"
NOTES = (
    "CPU time of all threads and processes, medians of rounds in which all take turns",
    "empty: no home, no cache; source: that, and each kernel compiled by Numba; warm: compiled",
    "kernels and bytecode on disk. first fit: one epoch of 784-100x4-10 on the bundled digits,",
    "batch 128, Adam; beside it others take the first training step of this network",
)
# Where everything is compiled, all processors are at work.
THREADS = "most"
ROUNDS, COMPILING, EVERYTHING = 10, 3, 1
WARM, EMPTY, SOURCE = "warm", "empty", "source"
MOST_BYTES = 15e6
SIZE = "the package"


@dataclass(frozen=True)
class Row:
    """A start: what it runs, where, beside which others.

    Attributes
    ----------
    label : str
    state : {"warm", "empty", "source"}
        What the process finds.
    script : str
        Empty for the command that compiles all.
    limit : Limit
    peers : mapping of str to str
        What other libraries run, by library.
    rounds : int
    """

    label: str
    state: str
    script: str
    limit: Limit
    peers: Mapping[str, str] = field(default_factory=dict)
    rounds: int = ROUNDS


def _rows() -> list[Row]:
    numpy = {"NumPy": scripts.NUMPY}
    steps = {"PyTorch": scripts.STEP_IN_TORCH, "JAX": scripts.STEP_IN_JAX}
    affine = numpy | {"JAX": scripts.CALL_IN_JAX}
    found = ROUNDS if machine_code.kind() != machine_code.BY_NUMBA else COMPILING
    network = "from fastnn.networks import MultiLayerNet"
    return [
        Row("first ops.affine", EMPTY, scripts.AFFINE, Above("NumPy", 0.06), affine, found),
        Row("first fit", EMPTY, scripts.EPOCH, Share("PyTorch", 0.5), steps, found),
        Row("first ops.affine", SOURCE, scripts.AFFINE, Most(3), affine, COMPILING),
        Row("first fit", SOURCE, scripts.EPOCH, Most(8), steps, COMPILING),
        Row("everything: warmup", SOURCE, "", Most(60, 35), rounds=EVERYTHING),
        Row("import fastnn", WARM, "import fastnn", Above("NumPy", 0.03), numpy),
        Row("import of the networks", WARM, network, Above("NumPy", 0.03), numpy),
        Row("first ops.affine", WARM, scripts.AFFINE, Above("NumPy"), affine),
        Row(
            "first training step",
            WARM,
            scripts.STEP,
            Share("PyTorch"),
            {"NumPy": scripts.STEP_IN_NUMPY, **steps},
        ),
    ]


def _nothing() -> Arrays:
    return []


def cases(dtype: str) -> Iterator[Case]:
    """Yield a case for each start, and one for the size; those that compile are not quick."""
    for row in _rows():
        quick = row.rounds == ROUNDS
        yield Case("start", row.label, row.state, tuple, _nothing, quick=quick)
    yield Case("size", SIZE, "packed", tuple, _nothing, quick=True)


@contextlib.contextmanager
def _variables(state: str) -> Iterator[dict[str, str]]:
    if state == WARM:
        yield {}
        return
    with process.nothing_kept() as variables:
        yield variables | (machine_code.COMPILED_HERE if state == SOURCE else {})


def _in_turns(
    commands: Mapping[str, Sequence[str]], state: str, rounds: int
) -> dict[str, list[Usage]]:
    order = list(commands)
    times: dict[str, list[Usage]] = {name: [] for name in order}
    # A first one each, so that files are in memory and, if they may be, kernels on disk.
    for name in order if state == WARM else ():
        process.run(commands[name], {})
    for _ in range(rounds):
        for name in order:
            with _variables(state) as variables:
                times[name].append(process.run(commands[name], variables))
        order = order[1:] + order[:1]
    return times


def measure(family: str, case: Case, libraries: Libraries, settings: Settings) -> dict[str, Any]:
    """Start processes in turns."""
    common = {**identity(family, case, settings), "machine_code": machine_code.kind()}
    if case.operation == "size":
        sizes = machine_code.installed()
        text = f"{sizes['packed'] / 1e6:.1f} MB"
        holds = sizes["packed"] <= MOST_BYTES
        limit = f"{MOST_BYTES / 1e6:.0f} MB"
        return {**common, "bytes": sizes, "limit": limit, "found": text, "holds": holds}
    (row,) = (r for r in _rows() if (r.label, r.state) == (case.label, case.shape))
    texts = {"fastnn": row.script, **{k: s for k, s in row.peers.items() if k in libraries}}
    commands = {
        name: process.command(text.replace("{dtype}", settings.dtype))
        if text
        else [sys.executable, "-m", "fastnn", "warmup"]
        for name, text in texts.items()
    }
    rounds = settings.rounds or row.rounds
    times = _in_turns(commands, row.state, rounds)
    verdict = row.limit.judge(times)
    return {
        **common,
        "rounds": rounds,
        "cpu": {name: statistics.median(one.cpu for one in times[name]) for name in times},
        "wall": {name: statistics.median(one.wall for one in times[name]) for name in times},
        "ratios": {
            name: statistics.median(
                theirs.cpu / ours.cpu
                for theirs, ours in zip(times[name], times["fastnn"], strict=True)
            )
            for name in times
            if name != "fastnn"
        },
        "limit": row.limit.text,
        "found": verdict.found,
        "holds": verdict.holds,
    }


def table(results: Sequence[Result]) -> list[list[str]]:
    """Return the rows of the table, its head first."""
    timed = [result for result in results if "cpu" in result]
    names = rivals(timed)
    head = ["", "state", "rounds", "fastnn", "wall", *names, "found", "at most", ""]
    rows = [head]
    for result in results:
        cpu = result.get("cpu", {})
        rows.append(
            [
                result["case"],
                result["shape"],
                str(result.get("rounds", "")),
                *(seconds(times["fastnn"]) for times in (cpu, result.get("wall", {})) if times),
                *[""] * (0 if cpu else 2),
                *(seconds(cpu[name]) if name in cpu else "-" for name in names),
                result["found"],
                result["limit"],
                {True: "holds", False: "missed", None: ""}[result["holds"]],
            ]
        )
    return [*rows, [f"machine code here: {results[0]['machine_code']}", *[""] * (len(head) - 1)]]
