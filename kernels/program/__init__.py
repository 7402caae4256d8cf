"""The training program: steps, updates and the loop over them.

`run` is that loop. It follows `tables`, whose fields say all that there is to know of a training.
`steps` has the loop over the steps of a segment, and those steps that are part of the program;
`updates` is what is done to parameters. `step` says what a kind of step is, and `kinds` has all of
them. Activations are done by the kernels of layers, and so are images, which `images` calls; the
parts of other steps that belong to layers are in `norms`, `image_norms` and `dropout`, and `making`
makes them. `ahead` brings the samples of the next step near, `places` is what all these share.
`parts` finds the parts that a program calls by their
addresses. `tables`, `step`, `kinds` and `parts` need no compiler.

:mod:`fastnn.program`, which fills the tables, explains the words.
"""
