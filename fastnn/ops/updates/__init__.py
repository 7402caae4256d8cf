"""Update rules: a file for each, with its record, its checked function and its optimizer.

`rule` says what is in a record; `arrays` checks arrays and calls the kernel, for one parameter or
for all of a network; `optimizer` is what the optimizers share.
"""
