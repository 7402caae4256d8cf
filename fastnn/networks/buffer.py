"""The one buffer that the parameters of a network stand in."""

from __future__ import annotations

from typing import Any

from fastnn.layers.adoption import adopt
from fastnn.layers.record import record_of
from fastnn.layers.references import references


def join(network: Any) -> None:
    """Move the parameters of fastnn's layers into one buffer that has none but them."""
    found = adopt(network)
    others = {id(p.array) for p in found if record_of(p.owner) is None}
    ours = [p for p in found if id(p.array) not in others and p.array.dtype == network.dtype]
    movable = {id(p.array) for p in ours}
    arrays = {id(array): array for array in network.params.values() if id(array) in movable}
    # Copies and unpickled networks have a buffer for each array; shallow copies share theirs.
    bases = {id(a.base): a.base for a in arrays.values()}
    if not arrays or (len(bases) == 1 and next(iter(bases.values())) is not None):
        return
    from fastnn.program.memory import Layout, aligned

    layout: Layout[int] = Layout(arrays)
    views = layout.views(aligned((layout.size,), network.dtype))
    for number, view in views.items():
        view[...] = arrays[number]
    for p in ours:
        setattr(p.owner, p.name, views[id(p.array)])
    for place in list(references(network)):
        if id(place.array) in views:
            place.put(views[id(place.array)])
    for key, array in network.params.items():
        network.params[key] = views.get(id(array), array)
    adopt(network)
