"""What processes that tests start are told."""

import os


def environment(**variables):
    """Return the variables of this process, of fastnn's the vector width alone, and others."""
    kept = {k: v for k, v in os.environ.items() if k[:7] != "FASTNN_" or k == "FASTNN_VECTOR_BITS"}
    return kept | {k: str(v) for k, v in variables.items()}
