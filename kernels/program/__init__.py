"""The training program: steps, updates and the loop over them.

`run` is that loop. It follows `tables`, whose fields say all that there is to know of a training.
`steps` has the loop over the steps of a segment, and those steps that are part of the program;
`updates` is what is done to parameters. `step` says what a kind of step is. The kinds are in
`core`, those of the program, in `norms` and `dropout`, and those of activations with their layers.
`parts` has the compiled functions that a program calls by their addresses.

:mod:`fastnn.program`, which fills the tables, explains the words.
"""
