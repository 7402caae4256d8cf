"""What all other packages may use, and what uses none of them.

`validation` checks numbers; `interrupts` holds back Ctrl-C until a step is whole; `warnings` point
to the user's line; `log` is what is said on standard error; `archive` writes and reads files
of arrays, whose facts a `schema` checks, `files` writes any file whole or not at all, and
`paths` says where some are kept; `html` shows results in notebooks; `types` names arrays in
annotations; `distribution` knows what is installed under our name; `environment` reads variables.
"""
