"""Which names scripts import, and which modules of fastnn have what they ask for."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

from fastnn.dropin.cs231n import MODULES as _COURSE


class Source(NamedTuple):
    """Modules of a book or a course.

    Attributes
    ----------
    title : str
    modules : mapping of str to str
        For the name that scripts import, the module that has its contents.
    others : mapping of str to str
        For the name of an object, the one that takes its place, as ``module:name``. An object
        that goes by another name here is not seen under the first.
    compared : bool
        Whether a definition in a script's own copy of the modules is compared with those that
        fastnn's stand for, and kept if it is none of them.
    """

    title: str
    modules: MappingProxyType[str, str]
    others: MappingProxyType[str, str] = MappingProxyType({})
    compared: bool = True

    @property
    def roots(self) -> tuple[str, ...]:
        """The packages at the top."""
        return tuple(dict.fromkeys(name.partition(".")[0] for name in self.modules))


def _within(package: str, name: str, parts: tuple[str, ...]) -> dict[str, str]:
    return {f"{name}.{part}": f"{package}.{part}" for part in parts}


_BOOK = MappingProxyType(
    {
        **_within(
            "fastnn.dropin.dlfs",
            "common",
            (
                "functions",
                "gradient",
                "layers",
                "multi_layer_net",
                "multi_layer_net_extend",
                "optimizer",
                "trainer",
                "util",
            ),
        ),
        "dataset.mnist": "fastnn.dropin.dlfs.mnist",
    }
)

_JAPANESE = "fastnn.dropin.dlfs.japanese"
_VARIANTS = "fastnn.dropin.dlfs.variants"

SOURCES = MappingProxyType(
    {
        "dlfs": Source("Deep Learning from Scratch", _BOOK),
        "dlfs-ja": Source(
            "Deep Learning from Scratch, Japanese edition",
            _BOOK,
            MappingProxyType(
                {
                    "mean_squared_error": f"{_JAPANESE}:sum_squared_error",
                    "Nesterov": f"{_JAPANESE}_training:Nesterov",
                    "Trainer": f"{_JAPANESE}_training:Trainer",
                    "softmax": f"{_JAPANESE}:softmax",
                    "softmax_loss": f"{_JAPANESE}:softmax_loss",
                }
            ),
        ),
        "cs231n": Source(
            "CS231n, assignments 1 and 2",
            MappingProxyType(_within("fastnn.dropin.cs231n", "cs231n", _COURSE)),
            compared=False,
        ),
    }
)

_OLDER = (
    "MultiLayerNet",
    "MultiLayerNetExtend",
    "Pooling",
    "SoftmaxWithLoss",
    "cross_entropy_error",
    "softmax_loss",
)

# What repositories of the book had at other times, which an own `common` may still have.
VARIANTS = MappingProxyType(
    {
        "dlfs-older": SOURCES["dlfs"]._replace(
            others=MappingProxyType({name: f"{_VARIANTS}:{name}" for name in _OLDER})
        ),
        "dlfs-ja-later": SOURCES["dlfs-ja"]._replace(
            others=MappingProxyType(
                {
                    **SOURCES["dlfs-ja"].others,
                    "numerical_gradient": f"{_VARIANTS}:numerical_gradient",
                }
            )
        ),
    }
)

BASES = MappingProxyType({"dlfs-older": "dlfs", "dlfs-ja-later": "dlfs-ja"})
"""The editions that the variants are of."""
