"""What a kernel takes: the text of a signature, taken apart.

A signature lists the arguments in their order, those that are only written after an arrow::

    x[n,d] W[d,h] b[h] -> out[n,h] & product | n d h / 4

Arrays have names for the lengths of their axes; what has one name has one length. A number is that
length. `*` at the end stands for any number of axes, which are alike in all arrays that have it; a
kernel knows their number of elements. Arrays are of one dtype, float32 or float64, unless one is
named, as in `labels:int64[n]`. Numbers are `float`, `int` or `uint` (without a sign), as in
`eps:float`. `~` in front of a name: it is read and written. `?` behind a name: it may be None. A
stroke and another name behind it, as in `out/x[*]`: it may be that array, where no other two may
share memory.

What follows `&` are parts that the kernel calls: functions of integers, at addresses that it is
given.

What follows the bar is the cost of a call, counted in elements of a cheap elementwise loop: a sum
of products of lengths and numbers.
"""

from __future__ import annotations

import functools
import math
import re
from typing import Any, NamedTuple

from fastnn.kernels.machine import layout, words

REAL = "real"
NUMBERS = ("float", "int", "uint")
REST = "*"

_ARRAYS = (REAL, *(dtype.name for dtype in layout.DTYPES))

_PARAMETER = re.compile(r"(~?)(\w+)((?:/\w+)*)(\??)(?::(\w+))?(?:\[([\w,*]*)\])?")


class Parameter(NamedTuple):
    """An argument of a kernel.

    Attributes
    ----------
    name : str
    kind : str
        Of an array its dtype, `REAL` for that of the call; of a number one of `NUMBERS`.
    axes : tuple of str or None
        Names of lengths, `REST` for any number of axes; None of a number.
    written : bool
    returned : bool
        Whether it is only written.
    optional : bool
    may_be : tuple of str
        Names of other arrays that it may be.
    """

    name: str
    kind: str
    axes: tuple[str, ...] | None
    written: bool
    returned: bool
    optional: bool
    may_be: tuple[str, ...]


class Signature(NamedTuple):
    """What a kernel takes.

    Attributes
    ----------
    parameters : tuple of Parameter
    lengths : tuple of str
        Names of lengths, in the order in which arrays have them.
    needs : tuple of str
        Names of parts.
    cost : tuple of (float, tuple of str)
        Terms of a sum: a factor, and the names of lengths that it is multiplied by.
    """

    parameters: tuple[Parameter, ...]
    lengths: tuple[str, ...]
    needs: tuple[str, ...]
    cost: tuple[tuple[float, tuple[str, ...]], ...]

    @property
    def arrays(self) -> tuple[Parameter, ...]:
        """The parameters that are arrays."""
        return tuple(p for p in self.parameters if p.axes is not None)

    @property
    def numbers(self) -> tuple[Parameter, ...]:
        """The parameters that are numbers."""
        return tuple(p for p in self.parameters if p.axes is None)

    @property
    def is_real(self) -> bool:
        """Whether there is a kernel for each of float32 and float64."""
        return any(p.kind == REAL for p in self.parameters)


def _parameter(text: str, returned: bool) -> Parameter:
    match = _PARAMETER.fullmatch(text)
    if match is None:
        raise ValueError(f"signature: expected a parameter such as x[n,d], got {text!r}")
    updated, name, may_be, optional, kind, axes = match.groups()
    kind = kind or REAL
    names = None if axes is None else tuple(axes.split(","))
    if kind not in (NUMBERS if names is None else _ARRAYS) or "" in (names or ()):
        raise ValueError(f"signature: expected a number, or an array with axes, got {text!r}")
    return Parameter(
        name,
        kind,
        names,
        returned or bool(updated),
        returned,
        bool(optional),
        tuple(may_be.split("/")[1:]),
    )


def _term(text: str) -> tuple[float, tuple[str, ...]]:
    """Return factor and lengths of a product, numbers behind a stroke divided by."""
    above, _, below = text.partition("/")
    factors = above.split()
    numbers = [float(f) for f in factors if f[0].isdigit()]
    lengths = tuple(f for f in factors if not f[0].isdigit())
    return math.prod(numbers) / (float(below) if below else 1.0), lengths


@functools.cache
def parse(text: str) -> Signature:
    """Return what a signature says.

    Raises
    ------
    ValueError
        If it is none.
    """
    said, _, cost = text.partition("|")
    said, _, needs = said.partition("&")
    read, _, written = said.partition("->")
    parameters = (
        *(_parameter(part, False) for part in read.split()),
        *(_parameter(part, True) for part in written.split()),
    )
    lengths = dict.fromkeys(name for p in parameters for name in p.axes or ())
    terms = tuple(_term(term) for term in cost.split("+") if term.strip())
    if unknown := {name for _, names in terms for name in names} - {*lengths}:
        raise ValueError(f"signature: expected a cost in {[*lengths]}, got {sorted(unknown)}")
    signature = Signature(parameters, tuple(lengths), tuple(needs.split()), terms)
    _expect_room(text, signature)
    return signature


def _expect_room(text: str, signature: Signature) -> None:
    """Raise ValueError if a signature has more of something than machine code has room for."""
    counts = {
        "parameters": (len(signature.parameters), words.MOST_PARAMETERS),
        "lengths": (len(signature.lengths), words.MOST_LENGTHS),
        "parts": (len(signature.needs), words.MOST_NEEDS),
        "axes": (
            max((len(p.axes or ()) for p in signature.parameters), default=0),
            words.MOST_AXES,
        ),
        "factors": (max((len(f) for _, f in signature.cost), default=0), words.MOST_FACTORS),
    }
    for what, (count, most) in counts.items():
        if count > most:
            raise ValueError(f"signature: expected at most {most} {what}, got {count} in {text!r}")
    arrays = {p.name for p in signature.arrays}
    for parameter in signature.parameters:
        if not arrays.issuperset(parameter.may_be) or REST in (parameter.axes or ())[:-1]:
            raise ValueError(f"signature: expected names of arrays, and {REST} last, got {text!r}")


def in_table(signature: Signature) -> Signature:
    """Return what the kernel of an update takes: a table in place of its arrays.

    The table says where arrays lie, in a row those that belong to a parameter; an array of no
    elements says of which dtype they are.
    """
    return parse(
        " ".join(
            ["table:int64[rows,columns]", "like[none]"]
            + [f"{p.name}:{p.kind}" for p in signature.numbers]
        )
    )


def shape_of(axes: tuple[str, ...], array: Any) -> tuple[int, ...]:
    """Return the shape of an array as a kernel knows it: what `REST` stands for is one axis."""
    if axes[-1] != REST:
        return tuple(array.shape)
    fixed = len(axes) - 1
    return (*array.shape[:fixed], math.prod(array.shape[fixed:]))
