"""Update rules of optimizers, a file for each.

`rule` makes a kernel of the step of a rule, and a function that training programs call; with
`tables` one call of the kernel updates any number of parameters.
"""
