"""What processes that tests start are told."""

import os

KEPT = ("FASTNN_MACHINE_CODE", "FASTNN_VECTOR_BITS")


def environment(**variables):
    """Return the variables of this process, of fastnn's those of the machine code, and others."""
    kept = {k: v for k, v in os.environ.items() if k[:7] != "FASTNN_" or k in KEPT}
    return kept | {k: str(v) for k, v in variables.items()}


def of_compiling(**variables):
    """Return those of a process that compiles, also where machine code was made ahead."""
    return environment(**variables, FASTNN_MACHINE_CODE="jit")
