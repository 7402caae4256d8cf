"""Names of checkpoints, with numbers of the epoch in braces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fastnn._utils.files import Path_, file_at, path_of
from fastnn.training.history import History
from fastnn.training.metrics import built_in, is_name

if TYPE_CHECKING:
    from pathlib import Path

# What braces may be around, and what formats are tried on.
_RECORDED = ("loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds")
_NUMBERS: dict[str, Any] = {"epoch": 1, **dict.fromkeys(_RECORDED, 0.5)}


def _may_be(name: str) -> bool:
    """Say whether a training may record something under a name."""
    own = name.startswith("val_") and is_name(name.removeprefix("val_"))
    return own or name in _NUMBERS or built_in(name) is not None


class CheckpointName:
    """The path of checkpoints: its last part is a format string, if it has braces.

    Parameters
    ----------
    path : str or path

    Raises
    ------
    ValueError
        If there are other names in braces than those of what is recorded of an epoch, or formats
        that numbers do not have.
    """

    def __init__(self, path: Path_) -> None:
        self._path = path_of("path", path)
        self._parts = [(self._path.name, "")]  # text, and the name after it
        if not {*self._path.name} & {*"{}"}:
            return
        from string import Formatter

        try:
            parsed = list(Formatter().parse(self._path.name))
            for _, name, form, conversion in parsed:
                if name is not None and (not _may_be(name) or conversion or "{" in str(form)):
                    raise ValueError(f"got {{{name}}}")
            numbers = {name: 0.5 for _, name, *_ in parsed if name is not None}
            self._path.name.format(**{**numbers, **_NUMBERS})
        except ValueError as error:
            raise ValueError(
                f"path: expected in braces one of {', '.join(_NUMBERS)}, with a format or without "
                f"({{epoch:02d}}-{{loss:.3f}}), or doubled braces, in {self._path.name}: {error}"
            ) from None
        self._parts = [(text, name or "") for text, name, *_ in parsed]

    @property
    def has_fields(self) -> bool:
        """Whether epochs have files of their own."""
        return any(name for _, name in self._parts)

    def expect(self, history: History) -> None:
        """Raise if the folder is missing, or a training does not record what the name has."""
        file_at(self._path)
        has = ("epoch", *history.metrics, "lr", "seconds")
        for _, name in self._parts:
            if name and name not in has:
                raise ValueError(
                    f"path: expected in braces one of {', '.join(has)}, which this training has, "
                    f"got {{{name}}} in {self._path.name}"
                )

    def of(self, history: History, epoch: int | None = None) -> Path:
        """Return the path for an epoch of a training, the last one if not given."""
        if not self.has_fields:
            return self._path.with_name("".join(text for text, _ in self._parts))
        epoch = history.epochs if epoch is None else epoch
        return self._path.with_name(self._path.name.format(epoch=epoch, **history.row(epoch)))

    def candidates(self) -> list[Path]:
        """Return the files that may be such checkpoints by their names."""
        pattern = re.compile(
            "".join(re.escape(text) + (".+" if name else "") for text, name in self._parts)
        )
        if not self._path.parent.is_dir():
            return []
        found = (file for file in self._path.parent.iterdir() if pattern.fullmatch(file.name))
        return sorted(file for file in found if file.is_file())
