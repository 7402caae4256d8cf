"""What a kind of layer is, said once, for all who ask: one record for each kind.

The file of a kind ends with its record, which :func:`record_of` and :func:`nearest_record` return.
The training program knows no kind by its name or type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnn.kernels.program.step import Step
from fastnn.layers.planning import Buffer, Plan
from fastnn.ops._targets import right_answers, right_classes

if TYPE_CHECKING:
    from fastnn.layers.folding import Folding
    from fastnn.layers.sizes import Shape


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
        Numbers, or strings, that a script may change after the layer was made, and that files hold.
    form : tuple of str
        What else its constructor was given: with parameters and settings it makes another one.
        Like `settings` and `draws` these are of type ``Setting``, which checks what files say.
    initial : str
        The rule of initial values that suits weights before it; "" if it leaves that to what
        follows.
    statistics : tuple of str
        Arrays that passes of training change, of the shape of the first parameter; None stands for
        zeros before the first one.
    sizes : tuple of str
        Those of the statistics that are never negative.
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
    forward : function of (plan, name, layer, x), optional
        Adds the steps of its forward pass from the buffer x to a plan; returns the buffer of the
        output. Without it, networks with such a layer go layer by layer.
    backward : function of (plan, name, layer, d, wanted), optional
        Adds those of its backward pass, from the buffer d of the gradient with respect to its
        output; returns that with respect to its input, which need not be there if not `wanted`.
    forward_given : function of (plan, name, layer, x, training), optional
        In place of `forward` for passes that are given what it would draw, as a mask, or, if not
        in `training`, measure.
    fold : function of (folding, name, layer), optional
        Adds what it does at test time to a :class:`fastnn.layers.folding.Folding`. Without it, the
        layer itself is added.
    shapes : function of (layer, shape), optional
        Returns the shape of its output for a sample of a shape, and the shapes of parameters by
        name. Without it, the shape is that before, and parameters have one number an element.
    absorbs : dict of type to function like `forward`
        Kinds of layers after this one whose forward pass can be part of its own, and the function
        that adds the steps of both.
    of_labels, of_targets : Step, optional
        Of a last layer, which takes targets and gives a loss: for labels, where there may be any,
        and for rows of numbers.
    takes : {"", "classes", "answers", "numbers", "counts"}
        Of a last layer, what targets are: labels or probabilities of classes; probabilities of a
        yes, one an output; any numbers; numbers of at least 0.
    of_step : str
        Of a last layer, which of `settings` its steps take.
    """

    kind: type[Any]
    label: str
    parameters: tuple[str, ...] = ()
    decayed: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    form: tuple[str, ...] = ()
    initial: str = ""
    statistics: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    draws: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    activation: str = ""
    saturation: tuple[float, float] | None = None
    can_die: bool = False
    smooth: bool = False
    forward: Callable[[Plan, str, Any, Buffer], Buffer] | None = None
    backward: Callable[[Plan, str, Any, Buffer, bool], Buffer] | None = None
    forward_given: Callable[[Plan, str, Any, Buffer, bool], Buffer] | None = None
    fold: Callable[[Folding, str, Any], None] | None = None
    shapes: Callable[[Any, Shape], tuple[Shape, dict[str, Shape]]] | None = None
    absorbs: Mapping[type[Any], Callable[[Plan, str, Any, Buffer], Buffer]] = field(
        default_factory=dict
    )
    of_labels: Step | None = None
    of_targets: Step | None = None
    takes: str = ""
    of_step: str = ""

    @property
    def is_loss(self) -> bool:
        """Whether it is a last layer."""
        return self.of_targets is not None

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


def loss_of(network: Any) -> Record | None:
    """Return the record of a network's loss, or of ours that it extends; None for another."""
    record = nearest_record(getattr(network, "last_layer", None))
    return record if record is not None and record.is_loss else None


def takes(network: Any) -> str:
    """Return what targets the loss of a network takes, "" for one of the user's own."""
    record = loss_of(network)
    return "" if record is None else record.takes


def right_of(network: Any) -> Callable[[NDArray[Any], NDArray[Any]], NDArray[np.bool_]] | None:
    """Return what says which samples a network is right about, of scores and targets, if any."""
    return {"classes": right_classes, "answers": right_answers}.get(takes(network))


def settings_of(layer: Any) -> tuple[str, ...]:
    """Return the names of a layer's settings: of one of the user's own, those that ours have."""
    record = nearest_record(layer)
    if record is not None:
        return record.settings
    return tuple(dict.fromkeys(name for each in records() for name in each.settings))
