"""How many random numbers are made at a time."""

from fastnn.kernels.plain.level import vector_bits

BLOCKS = vector_bits() // 64  # of four words
WORDS = 4 * BLOCKS
PAIRS = 2 * BLOCKS
