"""Files as somebody has altered them: each entry of their facts, and each array, in many ways."""

import copy
import io
import json

import numpy as np

VALUES = (None, True, -1, 2**70, 1.5, float("nan"), float("inf"), "no", [], {}, [[1]])


def contents(file):
    """Return facts and arrays of a file."""
    file.seek(0)
    with np.load(file) as arrays:
        found = dict(arrays)
    return json.loads(str(found.pop("facts"))), found


def archive(facts, arrays):
    """Return a file of facts and arrays."""
    file = io.BytesIO()
    np.savez(file, facts=np.array(json.dumps(facts)), **arrays)
    file.seek(0)
    return file


def places(value, path=()):
    """Return the paths of all that is in JSON data."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items if isinstance(value, (dict, list)) else ():
        found += places(item, (*path, key)) if isinstance(item, (dict, list)) else [(*path, key)]
    return found


def altered(data, path):
    """Yield what somebody did and the data, with one entry deleted, renamed, doubled or another."""
    *above, last = path

    def changed(change):
        new = copy.deepcopy(data)
        owner = new
        for key in above:
            owner = owner[key]
        change(owner)
        return new

    yield "deleted", changed(lambda owner: owner.__delitem__(last))
    if isinstance(last, str):
        yield "renamed", changed(lambda owner: owner.__setitem__("_rule", owner.pop(last)))
        yield "extra", changed(lambda owner: owner.__setitem__("update", 1))
    else:
        yield "doubled", changed(lambda owner: owner.append(copy.deepcopy(owner[last])))
    for value in VALUES:
        yield repr(value), changed(lambda owner, value=value: owner.__setitem__(last, value))


def altered_arrays(arrays, name):
    """Yield what somebody did and the arrays, with one of them changed, deleted or renamed."""
    array = arrays[name]
    others = {key: value for key, value in arrays.items() if key != name}
    yield "deleted", others
    yield "renamed", {**others, f"{name}x": array}
    yield "without group", {**others, "x": array}
    forms = {
        "longer": np.concatenate([array.ravel(), np.zeros(1, array.dtype)]),
        "another shape": array[np.newaxis],
        "bytes": array.astype(np.int8),
        "text": array.astype(str),
        "of the other order": array.astype(array.dtype.newbyteorder()),
        "complex": array.astype(complex),
        "NaN": array * np.nan if array.dtype.kind == "f" else array - 10,
    }
    for what, form in forms.items():
        yield what, {**others, name: form}
