"""The numbers that kernels are tuned by, in one table, each with the measurement behind it.

Results are right whatever these numbers are. They decide how fast kernels are, and those marked
"order of sums" also in which order terms are added, and so the last bits of results. A number
without a measurement is called a choice. Where nothing else is said, measurements were made on AMD
Zen 4 (32 KiB and 1 MiB caches) with AVX-512, in float32, on one thread.

The defaults stand in the two classes; what is different for a width of vectors or a
dtype stands in `EXCEPTIONS`. What belongs to the machine, such as the size of a cache line, and
what kernels must agree on, such as the layout of a table, is not here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from fastnn.kernels.plain.level import vector_bits
from fastnn.kernels.plain.shared import shared


class ByDtype(NamedTuple):
    """Numbers that may be others for float32 and float64."""

    # Products. Blocks of k, and of rows, in tiles: a packed block of A (192 KiB in float32) and a
    # panel of B (64 KiB) stay in the second-level cache; k = 256 or 384 took 5 to 15 % longer at
    # 1024 x 1024 x 1024. On AMD Zen 5 (48 KiB, 1 MiB) with 512 bits, GFLOP/s at 1024 and 2048 of
    # 275 (float32) and 137 (float64): 263, 249 and 123, 115; with blocks of 16 tiles 257, 243 and
    # 122, 114; of k = 256 and 16 tiles 261, 233 and 116, 104. Order of sums: block_k.
    block_k: int = 512
    block_tiles: int = 8

    # Packing costs one pass over an operand and is paid back by each use. From so many columns of
    # C on A is packed: at 1024 columns that takes 5 to 10 % off, at 256 and 512 it adds as much.
    pack_a_columns: int = 768
    # From so many columns and rows on B is packed: at 1024 columns and 64 rows that would add 20 %.
    pack_b_columns: int = 256
    pack_b_rows: int = 96
    # Where sums are shorter, nothing is packed: at k = 8 that would add 20 %.
    pack_depth: int = 16

    # From how many k and columns on to look for zeros in A, and what share of the k must remain at
    # most in the first row of tiles. To look takes a hundredth of the time that 100 columns take,
    # and at 64 x 64 x 64 two, more than there is to gain.
    skip_depth: int = 128
    skip_columns: int = 32
    skip_share: float = 0.75

    # For few samples, so many or so many for each unit, the input gradient of an affine layer is
    # computed as scalar products with the rows of W: to transpose W costs more than the sums over
    # vectors, which come once in a row of W. With 100 units both ways took the same time for 16
    # samples, with 512 for about 100. Order of sums.
    few_samples: int = 8
    few_samples_per_unit: float = 1 / 8

    # Convolutions, all of them choices, and order of sums. Bytes of the pixels of a strip, and how
    # many strips there are for each piece, at least.
    strip_bytes: int = 3 << 17
    strips: int = 2
    # Slots of the weight gradient: how many there are at most, and images of one; channels of a
    # group, at least, where there are more threads than slots.
    slots: int = 16
    slot_images: int = 16
    group_channels: int = 16

    # Elements that the rows of a block have together, of which the cross-entropy is computed: each
    # pass over them finds them in the first-level cache (16 KiB in float32). A choice.
    loss_block: int = 4096


class Common(NamedTuple):
    """Numbers that are the same for both dtypes."""

    # Kinds of tiles: for each height the widths, in half vectors; so they suit both dtypes. The
    # first height is the main one: as many accumulators as fit beside the vectors of B and one
    # broadcast element of A, in 16 registers (AVX2, SSE). The others take the rows that are left;
    # few rows need many vectors, to have enough sums under way at once. Heights are such that any
    # number of rows from 8 on comes in tiles of 4 and more (or 4 sums of two vectors would wait for
    # each other): 37 = 12 + 12 + 8 + 5. Odd widths and 2 are masked in their last vector: one pass
    # over A less than a whole vector and then the rest, (96, 1500, 24) took a sixth less time.
    # A half vector takes the same time as a whole one. Few kinds, as each takes 30 ms to compile,
    # and again where the function that holds it is part of another.
    tiles: Mapping[int, tuple[int, ...]] = {
        6: (4, 3, 2),
        5: (4, 3, 2),
        4: (4, 3, 2),
        2: (8, 4, 3, 2),
        1: (16, 8, 4, 3, 2),
    }
    # Tiles of convolutions, as above, in whole vectors; those of the main height have as many sums.
    tap_tiles: Mapping[int, tuple[int, ...]] = {
        6: (2, 1),
        4: (2, 1),
        2: (2, 1),
        1: (2, 1),
    }
    # Rows that a vector holds where few columns are left, the most first: vectors of two columns at
    # least. On AMD Zen 5, of the limit: (128, 784, 100) in float32 with 512 bits 80 % before, 87 %
    # so, with 256 bits 85 and 91 %; (37, 129, 67) 71 and 80 %, 79 and 85 %.
    folds: tuple[int, ...] = (4, 2)
    # How many rows ahead of the one that is copied into a panel another is asked for. A choice.
    copy_ahead: int = 16
    # Rows of A in a step of scalar products with rows of B. Their products fill one vector when
    # they are summed, so more rows of A mean fewer of B. A choice.
    dots_rows: tuple[int, ...] = (4, 2, 1)

    # Bytes that a thread holds on to between calls to pack operands into, for each dtype. A choice.
    workspace_kept: int = 1 << 26

    # Batch normalisation of rows. Rows of a step; what is left over goes row by row. What belongs
    # to a column is cheaper with more of them, but 16 streams a power of two apart displace each
    # other in an 8-way cache: on 1024 x 4096 float32 steps of eight rows took 2.5 times as long
    # backward as these. Order of sums: the first two.
    moments_rows: int = 8
    sums_rows: int = 4
    written_rows: int = 2
    # Rows whose gradients are summed in their own type, before they are added in float64: eight
    # steps, each rounded by half a unit at most, of two roundings. Order of sums.
    summed_rows: int = 32
    # Rows of a block, and from how many rows on a batch is cut into blocks. Choices, and order of
    # sums.
    norm_block: int = 128
    norm_tall: int = 512
    # Bytes of a strip of columns, which the second pass finds in the second-level cache. Of
    # 64 x 4096 float32 both passes took 116 us instead of 134, of 256 x 1000 float64 164 instead of
    # 222; an eighth of this took half as long again (Zen 5, 512 bits).
    norm_strip: int = 1 << 18
    # Layer normalisation. Rows over which gradients of gamma and beta are summed in their own type,
    # before they are added in float64. A choice, and order of sums.
    layernorm_rows: int = 8
    # Batch normalisation of images. Parts that a call can be cut into, at least; more channels than
    # this are not cut further. A choice, and order of sums.
    norm_parts: int = 32
    # Vectors of pixels that are added in pairs, in their own type, and how many of such sums are
    # added up before they are added in float64. Order of sums.
    pixel_vectors: int = 4
    pixel_sums: int = 8

    # Work of a chunk, in elements of a cheap elementwise loop (some 0.1 ns each). To share a call
    # costs 0.2 us, and 5 us where a helper must be woken, but what the other core has computed must
    # then be fetched from there: a step of a network 784-32-10 on 32 samples took 97 us with 2**17
    # here, 130 us with 2**16; one of 784-100x4-10 on 128 samples took 950 us with either, 1180 us
    # with 2**18. One chunk per thread: with four the backward pass of 128 samples through 784 x 100
    # took 30 % longer. Two threads.
    grain: int = 1 << 17

    # How often a helper looks for work before it goes to sleep: for about a millisecond. Between
    # the calls of a training step are 10 us to half a millisecond of NumPy and Python; waking takes
    # 50 us and more, and then the caller has done most of the work. With a seventh of this a step
    # of a network 784-100x4-10 in float64, drawing of its batch and all, took 2.3 ms instead of
    # 1.45. Two threads.
    patience: int = 30_000
    # Every so many looks a thread that waits lets others have its processor: where there are more
    # threads than processors, the one it waits for may stand behind it. A choice.
    spins: int = 50

    # Nanoseconds that all threads together take for a piece of a long call, and elements of a call
    # in one of them, before it has been seen how long a call of the kind takes. Beside a thread of
    # OpenBLAS that looks for work, (768, 1536, 640) in two pieces took as long as on one thread.
    # With pieces of half a millisecond two threads took 1.8 times less than one, in two pieces 1.5
    # (float64, 256 bits, Zen 5).
    piece: int = 500_000
    elements_per_ns: int = 10

    # A helper that finds that another thread has had its processor for `crowded` nanoseconds
    # hurries for `hurry_time`: it looks only so often for work, some 20 us, before it goes to
    # sleep. The system gives a thread that is woken the processor at once, but one that gave way
    # to a thread which looks for work without end only at the next tick, 4 ms later: of calls of
    # 90 us and of 1.1 ms that alternate with `np.dot` the median was 1.9 and 2.0 times the one
    # alone, and is 1.3 and 1.1 times (float32, 256 bits, two threads, two processors, Zen 5).
    crowded: int = 200_000
    hurry: int = 600
    hurry_time: int = 100_000_000
    # For so long a caller leaves its processor to a helper that has lost its own. A choice.
    nap: int = 50_000

    # A call also waits for a helper that another process keeps from running while it holds a piece:
    # milliseconds. What calls take beyond the time that one thread would take, less what they
    # gained, but at most `credit`, is lost; beyond `late` nanoseconds of it calls are serial for a
    # time, so that no more than one part in `rest` of all time is lost so; but not longer than
    # `longest_serial`, and a training program's steps than `longest_rest`, as the process itself
    # may have been stopped. Choices.
    late: int = 1_000_000
    credit: int = 20_000_000
    rest: int = 20
    longest_serial: int = 100_000_000
    longest_rest: int = 1_000_000_000

    # A training program. Bytes of the second-level cache that the rows of a block take; of a
    # weight's rows, their gradient and states that one update goes through, and how many updates
    # there are for each thread at least, so that none waits long for the last one; pieces of a
    # batch for each thread, at least: one that has finished its own takes over what another does
    # not get to. Choices.
    program_block_bytes: int = 192 << 10
    update_bytes: int = 256 << 10
    update_shares: int = 8
    program_pieces: int = 2
    # Slots, at most, that gradients of weights are summed in where there are few of them. A choice,
    # and order of sums.
    program_slots: int = 16
    # From how many features for each unit on the sum over them is taken in halves in a program's
    # first layer. On two threads a step of 784-48-10 on 40 samples took 25.7 us instead of 29.8, of
    # 784-32-10 on 32 15.4 instead of 17.3 (Zen 5, 512 bits). Order of sums.
    program_halved: int = 4
    # Samples of the next step: how many cache lines of them are asked for at a time, after so many
    # rows of a gradient, and how many bytes of them a thread brings at most, into its second-level
    # cache. Zen 5 brings some 28 lines at a time and forgets other wishes: of 48 lines it brought
    # two thirds, of 24 all.
    ahead_lines: int = 24
    ahead_rows: int = 24
    ahead_bytes: int = 1 << 19
    # What a thread's share must be, in nanoseconds, lest waiting for it takes longer, and what
    # operations and parameters count for that. Choices.
    share_ns: int = 4000
    ns_per_flop: float = 1 / 100
    ns_per_parameter: float = 0.5
    # Nanoseconds without a claim after which others take over what is left of a thread's updates:
    # some times what a small one takes.
    program_stalled: int = 2000
    # The first few steps, and one in so many, are taken by one thread, to know how long that takes:
    # a machine that is not busy loses 0.4 % by this.
    alone_first: int = 3
    alone_every: int = 256
    # Operations from which on scores are worth a plan, which takes half a millisecond.
    scores_worth: float = 1e8

    # Results of so many bytes stand in buffers that are used again: smaller arrays the C library
    # keeps for the next one itself, larger ones it gives back to the system. To write 47 MB of
    # columns takes 3 ms, with fresh pages 6 to 9. Of buffers that nobody uses so many bytes are
    # kept, a choice, before the oldest go.
    large_result: int = 4 << 20
    results_kept: int = 256 << 20


class Where(NamedTuple):
    """What a number depends on; None stands for any."""

    bits: int | None = None  # of a vector: 512, 256, 128
    dtype: str | None = None  # float32, float64


Exceptions = Iterable[tuple[Where, Mapping[str, Any]]]

# What is not the default, and where; later rows count more. A new row needs nothing else: all
# kernels are compiled anew.
EXCEPTIONS: Exceptions = (
    (
        Where(bits=512),
        {
            # In 32 registers; a half vector takes half the time of a whole one.
            "tiles": {
                12: (4, 3, 2, 1),
                8: (4, 3, 2),
                5: (4, 3, 2),
                4: (8, 4, 3, 2),
                2: (16, 8, 4, 3, 2),
                1: (16, 8, 4, 3, 2),
            },
            "tap_tiles": {
                8: (3, 2, 1),
                4: (3, 2, 1),
                2: (3, 2, 1),
                1: (3, 2, 1),
            },
        },
    ),
)

_Numbers = TypeVar("_Numbers", ByDtype, Common)


def choose(defaults: _Numbers, here: Where, exceptions: Exceptions = EXCEPTIONS) -> _Numbers:
    """Return the numbers that hold in a place.

    Parameters
    ----------
    defaults : ByDtype or Common
    here : Where
        What machine code is made for; `dtype` is None for what is common to both.
    exceptions : pairs of Where and a mapping
        Numbers by their names. Those of later rows count more.

    Raises
    ------
    ValueError
        If an exception names an unknown number, or gives one of `Common` for a dtype.
    """
    changes: dict[str, Any] = {}
    for where, numbers in exceptions:
        known = ByDtype._fields if where.dtype else (*ByDtype._fields, *Common._fields)
        for name in numbers:
            if name not in known:
                raise ValueError(f"exceptions: expected names of {known}, got {name!r} for {where}")
        if all(asked in (None, given) for asked, given in zip(where, here, strict=True)):
            changes |= {n: value for n, value in numbers.items() if n in defaults._fields}
    return defaults._replace(**changes)


COMMON = choose(Common(), Where(vector_bits()))
BY_DTYPE = {
    dtype: choose(ByDtype(), Where(vector_bits(), dtype)) for dtype in ("float32", "float64")
}


def by_itemsize(name: str) -> Callable[[int], Any]:
    """Return a function of an item's size, 4 or 8 bytes, that gives one of the numbers `ByDtype`.

    Python and compiled code can call it; where the dtypes do not differ it is a constant there.
    """
    single, double = (getattr(BY_DTYPE[dtype], name) for dtype in ("float32", "float64"))
    if single == double:

        @shared
        def number(itemsize: int) -> Any:
            return single

    else:

        @shared
        def number(itemsize: int) -> Any:
            return single if itemsize == 4 else double

    return number
