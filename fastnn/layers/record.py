"""What a kind of layer is, said once, for all who ask: one record for each kind.

The file of a kind ends with its record. Whoever has to know something about a layer asks
:func:`record_of` or :func:`nearest_record`, and knows no kind by its name or type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Record:
    """What others ask of a kind of layer. Names are those of attributes.

    Attributes
    ----------
    kind : type
        The class.
    label : str
        What tables and plans call it.
    parameters : tuple of str
        Arrays that are trained, in order; gradients stand beside them, `dW` beside `W`.
    decayed : tuple of str
        Those parameters that weight decay acts on.
    settings : tuple of str
        Numbers that a script may change after the layer was made, and that files hold.
    form : tuple of str
        What else its constructor was given: with parameters and settings it makes another one.
    initial : str
        The rule of initial values that suits weights before it; "" if it leaves that to what
        follows.
    statistics : tuple of str
        Arrays that passes of training change, of the shape of the first parameter; None stands for
        zeros before the first one.
    draws : tuple of str
        Numbers that say what the next pass of training draws.
    kept : tuple of str
        What the forward pass keeps for the backward pass.
    left : tuple of str
        What else passes leave behind, besides gradients.
    activation : str
        What the outputs are called if they are activations of units, else "".
    saturation : (float, float), optional
        Outputs beyond these are saturated.
    can_die : bool
        Whether a unit with outputs of zero passes no gradient.
    smooth : bool
        Whether it has no kinks, where a derivative jumps.
    is_loss : bool
        Whether it is a last layer, which takes targets and gives a loss.
    """

    kind: type[Any]
    label: str
    parameters: tuple[str, ...] = ()
    decayed: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    form: tuple[str, ...] = ()
    initial: str = ""
    statistics: tuple[str, ...] = ()
    draws: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    activation: str = ""
    saturation: tuple[float, float] | None = None
    can_die: bool = False
    smooth: bool = False
    is_loss: bool = False

    @property
    def state(self) -> tuple[str, ...]:
        """What a training changes, or draws from, besides parameters."""
        return self.statistics + self.draws

    @property
    def of_pass(self) -> frozenset[str]:
        """All that passes leave in a layer."""
        return frozenset((*self.kept, *self.left, *(f"d{name}" for name in self.parameters)))


_RECORDS: dict[type[Any], Record] = {}


def register(record: Record) -> Record:
    """Make a kind of layer known; return its record."""
    if record.kind in _RECORDS:
        raise ValueError(f"record: expected a kind without one, got {record.kind.__name__}")
    _RECORDS[record.kind] = record
    return record


def records() -> list[Record]:
    """Return the records of all kinds."""
    return list(_RECORDS.values())


def record_of(layer: Any) -> Record | None:
    """Return the record of a layer of :mod:`fastnn.layers`, None for one of the user's own.

    A subclass of one of ours is the user's own: it may do something else.
    """
    return _RECORDS.get(type(layer))


def nearest_record(layer: Any) -> Record | None:
    """Return the record of a layer, or that of the nearest class of ours which it extends."""
    return next((_RECORDS[c] for c in type(layer).__mro__ if c in _RECORDS), None)


def settings_of(layer: Any) -> tuple[str, ...]:
    """Return the names of a layer's settings: of one of the user's own, those that ours have."""
    record = nearest_record(layer)
    if record is not None:
        return record.settings
    return tuple(dict.fromkeys(name for each in records() for name in each.settings))
