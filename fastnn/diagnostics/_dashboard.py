"""All that one looks at during a training, in one picture."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils import distribution as _distribution
from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.diagnostics._measurements import Distribution
from fastnn.diagnostics._monitor import Monitor
from fastnn.diagnostics._verdict import TARGET, Verdict, diagnose, weights
from fastnn.training.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_START, _TRAIN, _VALIDATION = "0.6", "tab:blue", "tab:orange"
_POINTS = 300  # of a curve
_GAP = 1  # pixels between images
_IMAGES = 6  # in a row, and rows of them
_ABREAST = 7  # names of layers that fit beside each other
_FONT, _LINES = 8.33, 20  # points of the verdict's text, and lines of it that there is room for


def dashboard(
    history: History,
    monitor: Monitor,
    network: Any,
    *,
    image_shape: Sequence[int] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw a training: loss, accuracy, updates, layers, first weights, and the verdict.

    The panels are those that the CS231n notes ("Neural networks 3", babysitting the learning
    process) ask for, over epochs: the loss of each step (faint) and epoch, and its logarithm;
    training and validation accuracy with the gap between them; the update-to-weight ratio of
    each layer beside 1e-3; distributions of activations and of gradients with respect to them,
    at the start and at the end; dead or saturated units; weights of the first layer as images;
    what :func:`diagnose` says.

    Parameters
    ----------
    history : History
        Of ``network.fit``.
    monitor : Monitor
        Of the same training.
    network : Network, or another with `params`
        As it is at the end; W1 is drawn.
    image_shape : sequence of int, optional
        Of the samples: see :func:`weight_images`. Without it, images are drawn where samples
        could be square.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
        1200 by 1000 pixels at the usual 100 dots per inch; ``figure.savefig(path)`` writes it,
        and a notebook shows it as the last line of a cell, or by ``display(figure)``.

    Raises
    ------
    ImportError
        Without matplotlib, which the extra "plot" installs.
    TypeError, ValueError
        If an argument is not as above, the monitor has measured nothing, or W1 has no such images.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        command = _distribution.install_command("plot")
        raise ImportError(f"dashboard needs matplotlib: {command}") from error
    from fastnn.diagnostics._picture import Picture

    verdict = diagnose(history, monitor)
    if not isinstance(monitor, Monitor):
        raise TypeError(f"monitor: expected a Monitor, got {monitor!r}")
    if not isinstance(getattr(network, "params", None), Mapping):
        raise TypeError(f"network: expected one with `params`, a dict, got {network!r}")
    if not monitor.steps:
        raise ValueError(f"monitor: expected measurements, got {monitor!r}")
    images = _first_weights(network, image_shape)
    figure = Picture(figsize=(12, 10), dpi=100)
    if title is not None:
        figure.suptitle(title, fontweight="bold")
    axes = figure.subplots(3, 3)
    # A layout engine would take most of the time that the picture takes.
    figure.subplots_adjust(0.05, 0.05, 0.985, 0.935, wspace=0.22, hspace=0.32)
    # Agg cannot draw what is not finite, nor a log axis what is not positive.
    with np.errstate(all="ignore"):
        _loss(axes[0, 0], history, "linear")
        _loss(axes[0, 1], history, "log")
        _accuracy(axes[0, 2], history)
        epochs = np.asarray(monitor.steps) / history.steps_per_epoch
        _ratios(axes[1, 0], epochs, monitor)
        _activations(axes[1, 1], monitor.activations)
        _gradients(axes[1, 2], monitor.gradients)
        _units(axes[2, 0], epochs, monitor)
    last = max(epochs[-1], len(history.step_losses) / history.steps_per_epoch)
    for panel in (*axes[0], axes[1, 0], axes[2, 0]):
        panel.set(xlim=(0, last), xlabel="epoch")
    _images(axes[2, 1], images)
    _verdict(axes[2, 2], verdict)
    return figure


def weight_images(W: ArrayLike, image_shape: Sequence[int] | None = None) -> Array:
    """Return the weights of a first layer as images, one for each unit.

    Parameters
    ----------
    W : array_like, shape (D, H), or (H, C, height, width) of a convolution
    image_shape : sequence of int, optional
        (height, width) or (channels, height, width) of the samples, with D elements. Without
        it D must be the square of a number, or thrice one: three channels.

    Returns
    -------
    ndarray, shape (H, height, width), or (H, height, width, 3) with three channels
        Shares of each unit's largest absolute weight, from 0 (negative) over 0.5 (none) to 1.

    Raises
    ------
    ValueError
        If the weights are not such images.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.diagnostics import weight_images
    >>> weight_images(np.ones((784, 50))).shape
    (50, 28, 28)
    """
    W = np.asarray(W, np.float64)
    if W.ndim == 2:
        shape = _guessed(len(W)) if image_shape is None else tuple(image_shape)
        shape = tuple(numbers.integer("image_shape", n, 1) for n in shape)
        if len(shape) not in (2, 3) or math.prod(shape) != len(W):
            raise ValueError(
                f"image_shape: expected (height, width) or (channels, height, width) of "
                f"{len(W)} elements, got {image_shape}"
            )
        W = W.T.reshape(-1, *(1,) * (3 - len(shape)), *shape)
    if W.ndim != 4 or W.shape[1] not in (1, 3):
        raise ValueError(f"W: expected weights of images of 1 or 3 channels, got shape {W.shape}")
    with np.errstate(all="ignore"):
        largest = np.abs(W).max(axis=(1, 2, 3), keepdims=True)
        images = 0.5 + 0.5 * np.nan_to_num(W / largest)
    return images[:, 0] if W.shape[1] == 1 else np.moveaxis(images, 1, -1)


def _guessed(size: int) -> tuple[int, ...]:
    """Return the shape of square images of so many elements."""
    for channels in (1, 3):
        side = math.isqrt(size // channels)
        if channels * side * side == size:
            return channels, side, side
    raise ValueError(f"image_shape: needed, as {size} elements are no square image")


def _first_weights(network: Any, image_shape: Sequence[int] | None) -> Array | None:
    """Return the images, or None where samples are none."""
    W = network.params.get("W1")
    if W is None:
        return None
    if image_shape is None:
        try:
            return weight_images(W)
        except ValueError:
            return None
    return weight_images(W, image_shape)


def _loss(axes: Axes, history: History, scale: str) -> None:
    losses = np.asarray(history.step_losses, np.float64)
    finite = losses[np.isfinite(losses) & (losses > 0)]
    # Noise of thousands of steps is drawn as the band that it fills.
    blocks = np.array_split(losses, min(_POINTS, len(losses)))
    ends = np.cumsum([len(block) for block in blocks]) / history.steps_per_epoch
    low, high = ([f(block) for block in blocks] for f in (np.min, np.max))
    axes.fill_between(ends, low, high, color=_TRAIN, alpha=0.3, lw=1, label="steps")
    # An epoch's mean belongs to its middle, the validation loss to its end.
    middles = np.arange(history.epochs) + 0.5
    axes.plot(middles, history.loss, "o-", ms=4, lw=2, color=_TRAIN, label="epochs")
    if history.val_loss:
        epochs = np.arange(1, len(history.val_loss) + 1)
        axes.plot(epochs, history.val_loss, "s--", ms=4, color=_VALIDATION, label="validation")
    axes.set_title("loss" if scale == "linear" else "loss, logarithmic")
    axes.legend(fontsize="small")
    if not finite.size:
        return
    if scale == "log":
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter("")
        bottom, top = axes.get_ylim()
        if top < 10 * bottom:  # what is flat looks flat
            axes.set_ylim(top / 10, 2 * top)
    else:  # one explosion would hide all else
        axes.set_ylim(0, 1.05 * min(finite.max(), 4 * max(finite[0], np.median(finite))))
    if not np.isfinite(losses).all():
        step = int(np.flatnonzero(~np.isfinite(losses))[0])
        axes.axvspan(step / history.steps_per_epoch, ends[-1], color="tab:red", alpha=0.15, lw=0)
        axes.text(0.5, 0.5, f"not finite from step {step + 1}", ha="center", color="tab:red",
                  transform=axes.transAxes)  # fmt: skip


def _accuracy(axes: Axes, history: History) -> None:
    axes.set_title("accuracy")
    if not history.accuracy:
        _say(axes, "none is recorded")
        return
    epochs = np.arange(1, history.epochs + 1)
    axes.plot(epochs, history.accuracy, "o-", ms=4, color=_TRAIN, label="training")
    if history.val_accuracy:
        axes.plot(epochs, history.val_accuracy, "s--", ms=4, color=_VALIDATION, label="validation")
        gap = history.accuracy[-1] - history.val_accuracy[-1]
        axes.fill_between(
            epochs, history.accuracy, history.val_accuracy, color="tab:red", alpha=0.2, lw=0
        )
        axes.set_title(f"accuracy: gap {gap:+.3f} at the end")
    axes.set_ylim(0, 1.02)
    axes.legend(fontsize="small")


def _ratios(axes: Axes, epochs: Array, monitor: Monitor) -> None:
    axes.set_title("update-to-weight ratio")
    axes.axhspan(TARGET / 3, TARGET * 3, color="tab:green", alpha=0.08, lw=0)
    axes.axhline(TARGET, color="tab:green", ls="--")
    shown = weights(monitor)
    for color, (key, values) in zip(_colors(shown), shown.items(), strict=True):
        known = np.isfinite(values) & (values > 0)
        axes.plot(epochs[known], values[known], ".-", ms=4, lw=1, color=color, label=key)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, TARGET / 20), max(high, TARGET * 20))
    axes.legend(ncols=5, fontsize="x-small", columnspacing=1, handlelength=1)


def _colors(keys: Mapping[str, Any]) -> list[Any]:
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(0, 0.85, len(keys))))


def _activations(axes: Axes, recorded: dict[str, list[Distribution]]) -> None:
    """Draw histograms on their side: at the start to the left, at the end to the right."""
    axes.set_title("activations (grey: at the start)")
    if not recorded:
        _say(axes, "no hidden layers")
        return
    for i, (color, seen) in enumerate(zip(_colors(recorded), recorded.values(), strict=True)):
        for d, side, face in ((seen[0], -1, _START), (seen[-1], 1, color)):
            if not d.counts.any():
                axes.text(i + 0.2 * side, 0, "nan", ha="center")
                continue
            # By its root, as most outputs of ReLUs are in one bin, that of zero.
            widths = 0.42 * np.sqrt(d.counts / d.counts.max())
            axes.stairs(i + side * widths, d.edges, baseline=i, orientation="horizontal",
                        fill=True, color=face)  # fmt: skip
    _name(axes, recorded)
    axes.margins(y=0.05)


def _name(axes: Axes, layers: Mapping[str, Any]) -> None:
    names = _short(layers)
    if len(names) > _ABREAST:
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize="x-small")
    else:
        axes.set_xticks(range(len(names)), names)


def _short(names: Mapping[str, Any]) -> list[str]:
    """Return labels of layers that fit below an axis."""
    return [name.replace("Activation_function", "Act").replace("BatchNorm", "BN") for name in names]


def _gradients(axes: Axes, recorded: dict[str, list[Distribution]]) -> None:
    """Draw boxes of sizes: 5, 25, 50, 75 and 95 %."""
    axes.set_title("sizes of gradients (grey: at the start)")
    axes.set_yscale("log")
    for i, (color, seen) in enumerate(zip(_colors(recorded), recorded.values(), strict=True)):
        for d, side, face in ((seen[0], -1, _START), (seen[-1], 1, color)):
            if not d.magnitudes[0] > 0:
                text = "0" if d.zeros == 1 else "nan"
                axes.text(i + 0.2 * side, 0.02, text, ha="center",
                          transform=axes.get_xaxis_transform())  # fmt: skip
                continue
            low, q1, middle, q3, high = d.magnitudes
            box = {"whislo": low, "q1": q1, "med": middle, "q3": q3, "whishi": high}
            axes.bxp(
                [box], positions=[i + 0.2 * side], widths=0.34, showfliers=False,
                patch_artist=True, boxprops={"facecolor": face}, medianprops={"color": "black"},
            )  # fmt: skip
    _name(axes, recorded)
    axes.set_xlim(-0.5, len(recorded) - 0.5)


def _units(axes: Axes, epochs: Array, monitor: Monitor) -> None:
    """Draw shares of dead units, or of saturated activations."""
    recorded = {**monitor.dead, **monitor.saturated}
    words = [*["dead units"] * bool(monitor.dead), *["saturated units"] * bool(monitor.saturated)]
    axes.set_title(", ".join(words) or "dead units")
    if not recorded:
        _say(axes, "no hidden layers")
        return
    for color, (name, shares) in zip(_colors(recorded), recorded.items(), strict=True):
        axes.plot(epochs, shares, ".-", ms=4, lw=1, color=color, label=name)
    axes.set_ylim(-0.02, 1.02)
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f}%")
    axes.legend(labels=_short(recorded), ncols=2, fontsize="small")


def _images(axes: Axes, images: Array | None) -> None:
    axes.set_title("weights of the first layer")
    if images is None:
        _say(axes, "no images")
        return
    columns = min(_IMAGES, math.ceil(math.sqrt(len(images))))
    shown = images[: columns * columns]
    height, width = (n + _GAP for n in shown.shape[1:3])
    rows = math.ceil(len(shown) / columns)
    tiles = np.ones((rows * height - _GAP, columns * width - _GAP, *shown.shape[3:]))
    for i, image in enumerate(shown):
        y, x = i // columns * height, i % columns * width
        tiles[y : y + height - _GAP, x : x + width - _GAP] = image
    axes.imshow(tiles, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()
    if len(shown) < len(images):
        axes.set_title(f"weights of the first layer ({len(shown)} of {len(images)})")


def _verdict(axes: Axes, verdict: Verdict) -> None:
    head, *body = str(verdict).splitlines()
    word, _, facts = head.partition(": ")
    size = _FONT
    while True:
        lines = [
            wrapped
            for line in (*facts.split(", "), "", *body)
            for wrapped in textwrap.wrap(line, int(52 * _FONT / size), subsequent_indent="    ")
            or [""]
        ]
        if len(lines) * size <= _LINES * _FONT or size <= 4:
            break
        size -= 0.5
    axes.set_title(word, color="tab:green" if verdict.healthy else "tab:red", fontweight="bold")
    axes.text(0, 0.97, "\n".join(lines), va="top", fontsize=size, transform=axes.transAxes)
    axes.set_axis_off()


def _say(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
    axes.set_axis_off()
