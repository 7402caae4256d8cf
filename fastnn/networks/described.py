"""What a file says of its network, checked, and the layers that can be made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastnn._utils import schema
from fastnn._utils import validation as numbers
from fastnn._utils.archive import Contents
from fastnn._utils.types import Array
from fastnn.layers.record import Record, records
from fastnn.layers.settings import checked
from fastnn.networks.sizing import size_of
from fastnn.training.labels import Classes, expect_count

WHAT = "network or checkpoint"
LEFT_OUT = "left out"  # the group of parameters that are not in `params`


def _simple(name: str, value: Any) -> Any:
    return schema.alike(name, value, None)


def _outputs(name: str, value: Any) -> Any:
    if not isinstance(value, list):
        return numbers.integer(name, value, 1)
    return tuple(numbers.integer(f"{name}[{i}]", size, 1) for i, size in enumerate(value))


def _place(name: str, value: Any) -> tuple[str, str, str, bool]:
    if not isinstance(value, list) or len(value) != 4:
        raise ValueError(
            f"{name}: expected key, layer, name and whether it is declared, got "
            f"{numbers.brief(value)}"
        )
    key, layer, attribute = (schema.text(f"{name}[{i}]", value[i]) for i in range(3))
    return key, layer, attribute, numbers.flag(f"{name}[3]", value[3])


_OF_ALL: dict[str, schema.Check] = {
    "classes": schema.listed(schema.text),
    "dtype": lambda name, value: numbers.one_of(name, value, ("float32", "float64")),
    "layers": schema.keyed(schema.text),
    "last_layer": schema.text,
    "layer_settings": schema.keyed(_simple),
    "state": schema.keyed(
        schema.optional(lambda name, value: numbers.integer(name, value, 0, 2**64 - 1))
    ),
    "input_size": schema.optional(size_of),
    "output_size": schema.optional(_outputs),
    "weight_decay_lambda": numbers.not_negative,
    "input_scale": numbers.positive,
}
# Of networks that have them: files without are those of before, too.
_AT_TIMES: dict[str, schema.Check] = {
    "labels": lambda name, value: [*Classes(schema.listed(_simple)(name, value)).values],
    "feature_names": schema.listed(schema.text),
    "without_bias": schema.listed(schema.text),
    "loss_settings": schema.keyed(_simple),
}
_OF_THE_BOOKS: dict[str, schema.Check] = {
    "hidden_size_list": schema.listed(lambda name, value: numbers.integer(name, value, 1)),
    "activation": lambda name, value: numbers.one_of(name, value, ("relu", "sigmoid", "tanh")),
    "use_dropout": numbers.flag,
    "dropout_ration": numbers.below_one,
    "use_batchnorm": numbers.flag,
}
_OF_STACKS: dict[str, schema.Check] = {
    "forms": schema.keyed(schema.keyed(lambda name, value: value)),  # checked by the layers
    "places": schema.listed(_place),
}


def facts_of(contents: Contents) -> dict[str, Any]:
    """Return what a file says of its network; raise TypeError or ValueError if it is not right."""
    given = schema.keyed(lambda name, value: value)("network", contents.facts.get("network"))
    others = _OF_THE_BOOKS if "hidden_size_list" in given else _OF_STACKS
    there = {name: check for name, check in _AT_TIMES.items() if name in given}
    found: dict[str, Any] = schema.entries({**_OF_ALL, **others, **there})("network", given)
    if "labels" in found:
        kinds = {record.kind.__name__: record.takes for record in records()}
        kind = kinds.get(found["last_layer"], "")
        expect_count(len(found["labels"]), kind, found["output_size"])
    for group in ("params", "layers", *([LEFT_OUT] if others is _OF_STACKS else [])):
        if group not in contents.groups:
            raise ValueError(f"groups: expected one of {group!r}, got {', '.join(contents.groups)}")
    for group in ("params", LEFT_OUT):
        for key, array in contents.groups.get(group, {}).items():
            if array.dtype.kind != "f":
                raise TypeError(f"{group}/{key}: expected a floating dtype, got {array.dtype}")
    return found


def stack(saved: dict[str, Any], contents: Contents) -> dict[str, Any] | None:
    """Return the layers of a file, made anew; None if there are kinds that are not ours.

    Raises
    ------
    TypeError, ValueError
        If they cannot be made of what the file has.
    """
    kinds = {record.kind.__name__: record for record in records()}
    if not kinds.keys() >= {*saved["layers"].values()}:
        return None
    of = {name: kinds[kind] for name, kind in saved["layers"].items()}
    schema.same_names("network.forms", saved["forms"], of)
    own = _own_arrays(saved, of, contents)
    settings = {f"{name}.{each}" for name, record in of.items() for each in record.settings}
    schema.same_names("network.layer_settings", saved["layer_settings"], settings)
    found = {}
    for name, record in of.items():
        schema.same_names(f"network.places of {name}", own[name], record.parameters)
        form = saved["forms"][name]
        schema.same_names(f"network.forms[{name!r}]", form, record.form)
        given = {each: saved["layer_settings"][f"{name}.{each}"] for each in record.settings}
        for each, value in {**given, **form}.items():
            checked(record.kind, each, f"network.layers[{name!r}].{each}", value)
        found[name] = record.kind(**own[name], **given, **form)
    return found


def _own_arrays(
    saved: dict[str, Any], of: Mapping[str, Record], contents: Contents
) -> dict[str, dict[str, Array]]:
    """Return the arrays of each layer by name."""
    arrays = {**contents.groups["params"], **contents.groups[LEFT_OUT]}
    own: dict[str, dict[str, Array]] = {name: {} for name in of}
    for i, (key, layer, name, declared) in enumerate(saved["places"]):
        if layer not in of or name not in of[layer].parameters or declared:
            raise ValueError(f"network.places[{i}]: expected a parameter of a layer, got {name!r}")
        if name in own[layer]:
            raise ValueError(f"network.places[{i}]: expected each place once, got {name!r} again")
        if key not in arrays:
            raise ValueError(f"network.places[{i}]: expected the key of an array, got {key!r}")
        own[layer][name] = arrays[key]
    schema.same_names("network.places", {place[0] for place in saved["places"]}, arrays)
    return own
