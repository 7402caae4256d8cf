"""The compiled training program: many steps of a training in one call.

Compiled code follows tables that say what a network, an optimizer and a batch size ask for, so that
nothing is compiled for a network. What leads to them, and a module for each::

    network, optimizer, samples
        |   parameters  which arrays are trained, and the optimizer's states beside them
        |   data        where samples and targets lie, and how they are read
        v
    plan                the steps of all layers, as their records say, and buffers between them
        |   memory      aligned arrays for the buffers
        |   updates     what is done to which rows of which parameter
        v
    tables              all of that as numbers: addresses, sizes, kinds
        |
        v
    fastnn.kernels.program.run    the loop that follows them

    program    trains by it: an `executor`, which is what a training asks for
    inference  predicts by it, with batch normalisation and dropout put into weights
    passes     a forward or a backward pass alone, for others
    explain    the plan as text

One step of a training with batch normalisation, on two threads, time from left to right::

              | segment 1            | finish | segment 2            | updates            |
    thread 1  | affine, sums of rows | mean,  | normalise, affine,   | W1 rows 0..255, b1 |
    thread 2  | affine, sums of rows | std    | loss, gradients      | W1 rows 256.., W2  |

Words
-----
plan
    The steps and buffers that a network needs for batches of one size. `plan` makes it;
    :mod:`fastnn.layers.planning` says what a layer may ask of it.
step
    One thing that is done to some rows of a batch, such as a product or an activation; its kind is
    a :class:`fastnn.kernels.program.step.Step`. A *training* step is all that one batch leads to.
segment
    Steps that a thread takes for its rows without waiting for another one. Where a step needs a sum
    over the whole batch a segment ends: all threads wait, and one takes the `finish` step.
unit
    16 samples, the least that a batch is cut into. Sums over a batch are sums over units first, so
    that they have the same bits for any number of threads.
piece, stream
    What a thread claims at once: a run of units, or an update. Pieces and updates are dealt out
    into a stream for each thread; whoever has finished its own goes on with those of others.
block
    Rows of a piece that go through all steps of a segment before the next rows do: so many that
    what is between the steps stays in the second-level cache. A `local` buffer has rows for one
    block of each thread; others have a row for each sample.
slot
    One of up to 16 runs of samples whose gradients of weights are summed apart, by steps, and put
    together at the end. Without slots gradients are products of all samples, as part of updates.
    Those of filters are left by steps for each unit, and added up by updates, in any case.
update
    Some rows of a weight, or a whole vector, with all that is done to them: gradient, weight decay,
    clipping, the optimizer's rule, the moving average, packing. Its stages are named so.
table
    An array of records that compiled code reads: the program (one), segments, steps, updates.
"""

from fastnn.program.program import Program

__all__ = ["Program"]
