"""The tables that :mod:`caller` works with: what stands in which word.

One table has what all routines need: addresses of objects, and of functions of Python and NumPy,
so that machine code refers to neither by name. A table for each routine says what its kernel takes.
"""

from fastnn.kernels.machine.layout import DTYPES

# What all routines need. Whether kernels are wanted at all; None, NotImplemented, and what
# stands for an argument that there is not; the types of arrays, floats, integers and truth values.
(
    ENABLED, NONE, LEFT_OUT, NOT_IMPLEMENTED, NDARRAY, FLOAT, INT, BOOL,
    # Functions: take and give back a reference; an integer of an object, and an object of one; a
    # new array, a new tuple; give up the interpreter's lock, and take it; an integer of an object
    # that says whether it is one of 64 bits.
    KEEP, DROP, TO_INT, FROM_INT, NEW_ARRAY, NEW_TUPLE, UNLOCK, LOCK, AS_LONG,
    # Workspace for whoever has the interpreter's lock: where, and how many bytes. The cost up to
    # which a call is done at once. Where the items of a tuple begin.
    SPACE, BYTES, MOST, FIRST_ITEM,
    FIRST_DTYPE,
) = range(22)  # fmt: skip
FIRST_SCALAR = FIRST_DTYPE + len(DTYPES)  # the types of their numbers
SHARED_WORDS = FIRST_SCALAR + len(DTYPES)

# What a routine's kernel takes. The address of the table above; parameters, arrays, lengths, arrays
# that are returned, terms of the cost; whether arrays need not be told apart; how many parts the
# kernel calls; its address and theirs, for float32 and for float64; then a record for each
# parameter, one for each term, and of each length what it is, or UNKNOWN.
SHARED, PARAMETERS, ARRAYS, LENGTHS, RETURNED, TERMS, TRUSTED, NEEDS, CODE = range(9)
MOST_NEEDS = 3
RECORDS = CODE + 2 * (1 + MOST_NEEDS)

# A record of a parameter: what it is, flags, a bit for each array that it may be, how many named
# axes, and the numbers of their lengths. That of what `*` stands for comes after these.
KIND, FLAGS, MAY_BE, NAMED, AXES = range(5)
MOST_AXES = 6
RECORD = AXES + MOST_AXES
IS_UINT, IS_FLOAT, IS_INT, IS_REAL = -4, -3, -2, -1  # kinds; else the number of a dtype
WRITTEN, OPTIONAL, IS_RETURNED, HAS_REST = 1, 2, 4, 8

# A term: a factor, and the numbers of the lengths that it is multiplied by, -1 behind the last.
MOST_FACTORS = 8
TERM = 1 + MOST_FACTORS

MOST_PARAMETERS, MOST_LENGTHS = 24, 16
UNKNOWN = -1  # a length that an array tells of

# What a kernel returns, having done nothing, for arguments that are not such as it takes.
REFUSED = -1

# What a kernel is given at most: arrays, lengths and numbers, pieces, workspace,
# addresses of parts.
MOST_WORDS = MOST_PARAMETERS + MOST_LENGTHS + 3 + MOST_NEEDS

# What updates need beside. True; types that are read as dicts are; that of keys. Functions: how
# many a dict has, its next item; compare two keys.
TRUE, DICT, OTHER_DICT, STR, SIZE_OF, NEXT, COMPARE = range(7)
UPDATE_WORDS = COMPARE + 1

# What a routine of an update takes, where it is another than above: the address of the table for
# updates; how many arrays a parameter has, itself included; how many settings; what an element
# costs; whether it takes arrays, or dicts of them, or both. Then a record for each setting.
UPDATES, KINDS, SETTINGS, COST, TAKES = range(1, 6)
AN_ARRAY, DICTS = 1, 2

# A record of a setting: what it is, and for a float the lowest and what is above the highest; for
# an integer the lowest and the highest, and what is added to it; for a choice objects, each with
# the value that it stands for.
ANY_FLOAT, ANY_INT, IN_RANGE, COUNTED, FLAG, CHOICE = range(6)
MOST_CHOICES = 2
LOW, HIGH, ADDED, CHOICES = 1, 2, 3, 1
SETTING = 1 + 2 * MOST_CHOICES
