"""What a training program is made of: tables that Python fills and compiled code follows.

All arrays are given by their addresses. A step works on some rows of a batch. Its arrays have a
row for each sample, or are local: then they have `block` rows for each thread, for rows that
nobody needs once the steps of a segment have been taken.
"""

from __future__ import annotations

import numpy as np

# Batches are cut between units of this many samples, and sums over a batch are sums of sums
# over units, so that they have the same bits for any number of threads. Of a batch of 32, two
# threads take one unit each.
UNIT = 16

# Kinds of steps: those of layers, which are compiled functions of their own, and parts of the
# program. Products first; what is elementwise is done by the kernel of an activation.
BY_ADDRESS = 0
AFFINE, INPUT_GRADIENT, WEIGHT_GRADIENT = range(1, 4)
GATHER, PACK_ROWS, JOIN = range(4, 7)
ELEMENTWISE = 7

_INTEGERS = [
    # What it is, and the address of its function if it is none of the program's own.
    "kind", "function",
    # Arrays with a row a sample, the columns of the first two, and whether they are local.
    "source", "target", "other", "output",
    "d", "h",
    "source_local", "target_local", "other_local", "output_local",
    # Which columns of samples it takes: so many from `left` on.
    "left", "columns",
    # Of an affine layer. `packed` is W, its transpose, or dz, in panels; or 0.
    "W", "b", "packed", "flags", "dW", "db",
    # Of an activation: the address of its kernel, how many arrays and numbers that takes, and the
    # address of the part that it calls, if it does.
    "kernel", "arrays", "numbers", "part",
    # Of images: how many words the kernel is given behind their number, and where these stand;
    # elements of filters, and from a unit's gradients to the next; pixels of a channel.
    "words", "given", "filters", "unit_step", "pixels",
    # Of batch normalisation and dropout. `calls` are the passes before those of this run.
    "partial", "scales", "mean", "rstd", "gamma", "beta", "dgamma", "dbeta", "running_mean",
    "running_var", "calls",
]  # fmt: skip
STEP = np.dtype(
    [(name, np.int64) for name in _INTEGERS]
    + [("seed", np.uint64)]
    + [(name, np.float64) for name in ("ratio", "scale", "low", "momentum", "eps", "setting")]
)

# Kinds of updates: of rows of a weight matrix, of its bias, and of any other parameter, such as
# those of batch normalisation, whose gradient steps have computed.
WEIGHTS, BIAS, NORM = 0, 1, 2
UPDATE = np.dtype(
    [
        (name, np.int64)
        for name in (
            "kind",
            # Where sums over units begin that the gradient is the sum of, and from one to the next.
            "sums", "sums_step",
            # What the gradient is computed from: x (n, d) and dz (n, h); the rows of W.
            "source", "dz", "dz_packed", "d", "h", "top", "bottom", "W", "dW",
            # Where the numbers to update begin, and how many they are; 0 for what there is not.
            # `arrays` is where the addresses stand that the rule takes: p, g and its states.
            "p", "g", "arrays", "average", "size",
            "penalised", "packed", "transposed",
            # Which sum of squares is its first: there is one for each so many numbers.
            "square", "square_size",
        )
    ]
)  # fmt: skip

# Pieces of a batch, and updates, are dealt out into streams, one for each thread, with a counter of
# what was claimed. Counters are so far apart that no two are on one cache line (or two, as
# processors fetch pairs).
APART = 128

# Stages of an update.
COMPUTE, APPLY, PACK = 1, 2, 4

# What is done about parameters: nothing, a step of the optimizer, or their gradients alone.
FORWARD, UPDATED, GRADIENTS = 0, 1, 2

# How a row of the data set is kept.
FLOAT32, FLOAT64, UINT8 = 0, 1, 2

# What a number is of that compiled code has nothing to do for.
UNKNOWN_STEP, UNKNOWN_UPDATE, UNKNOWN_DATA = 1, 2, 3

_FIXED = [
    # The tables, the settings of the rule in the present step, and the addresses of compiled
    # functions.
    "steps", "updates", "n_updates", "settings",
    "on_rows", "on_updates", "on_rule", "product",
    # The data set, what is right for it, labels or rows of numbers, and the weights of samples,
    # float64, or 0 if they have none.
    "data", "data_step", "data_kind", "features", "targets", "weights",
    # Samples of a batch, of an epoch, which ends with a batch of what is left, of all steps to
    # come, and of the present step.
    "batch", "epoch", "rows", "n",
    # The address of the order of samples (0: as they are), and where in it the present step begins.
    "order", "first",
    # Rows that go through a segment at once. Gradients of samples are summed by slots, which
    # are runs of samples; 0: by updates, over all samples.
    "block", "slots", "slot_step", "gradients",
    # Memory to pack into, for each thread.
    "scratch", "scratch_size",
    # Of the batch: losses, labels, and targets if they are copied.
    "losses", "labels", "goals",
    # Sums over units: of losses, of right answers. Sums of squared gradients, and of squared
    # weights, with the address of what the penalty adds to the loss of each step; 0: not asked for.
    "loss_sums", "hit_sums", "squares", "n_squares", "weight_squares", "penalties",
    # What is done about parameters, and whether a loss that is not finite ends the run.
    "training", "stops", "passes", "done",
    # How many threads there is memory for, and how many work on rows and on updates.
    "workers", "row_threads", "update_threads",
    # Of the present step: streams, the addresses of what was claimed of them, pieces and slots of
    # the batch, steps, the parts that these come in, strips of rows for each, whether one thread
    # takes them all and adds each to the one before, stage; what threads bring for the next step.
    "streams", "claims", "pieces", "slots_now", "begin", "end", "finish", "parts", "strips", "adds",
    "stage", "ahead",
    # Steps so far that could be shared; nanoseconds that one takes alone, and that sharing has
    # cost; until when to go on alone, for how long that is, and when it last ended.
    "taken", "alone", "lost", "alone_until", "rest", "resumed",
    # What was met that is unknown, 0 for nothing, and its number.
    "unknown", "unknown_number",
]  # fmt: skip
PROGRAM = np.dtype(
    [(name, np.int64) for name in _FIXED]
    + [
        (name, np.float64)
        for name in (
            "data_scale",
            # What penalised weights are multiplied by, and if not 0 the same times `mass`.
            "penalty",
            "alpha",
            "clip_value",
            "clip_norm",
            "decay",
            "shrink",
            # What the losses of the present step are divided by: its samples, or their weights.
            "mass",
        )
    ]
)

# Which steps, and the step that follows for the whole batch, or -1. In a segment in several parts
# each of these is as many of the steps, for other columns of the samples.
SEGMENT = np.dtype([(name, np.int64) for name in ("begin", "end", "finish", "parts")])
