"""What a training recorded, as a picture and as a data frame."""

import copy
import math
import sys

import numpy as np
import pytest

from fastnn import MultiLayerNet
from fastnn.callbacks import Callback, Checkpoint, load_checkpoint
from fastnn.fit import History

X = np.random.default_rng(0).normal(size=(40, 3))
T = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
NAMES = "loss", "accuracy", "top_2_accuracy"


@pytest.fixture
def pyplot():
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def trained(epochs=3, net=None, **settings):
    net = MultiLayerNet(3, [4], 3, seed=0) if net is None else net
    given = {"metrics": ["top_2_accuracy"], "validation": 0.25, "verbose": False, "seed": 0}
    return net.fit(X, T, epochs, 16, **{**given, **settings})


def expect_drawn(ax, history, name):
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", name.replace("_", " "))
    drawn = [n for n in (name, f"val_{name}") if n in history.metrics]
    assert len(ax.lines) == len(drawn)
    for line, recorded in zip(ax.lines, drawn, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, history.epochs + 1))
        np.testing.assert_array_equal(line.get_ydata(), history[recorded])
    legend = ax.get_legend()
    labels = [] if legend is None else [text.get_text() for text in legend.get_texts()]
    validated = len(drawn) == 2 and history.epochs > 0
    assert labels == (["training", "validation"] if validated else [])


@pytest.mark.parametrize("validation", [None, 0.25])
def test_panels_of_all_metrics(pyplot, validation):
    history = trained(validation=validation)
    axes = history.plot()
    assert [ax.get_ylabel() for ax in axes] == ["loss", "accuracy", "top 2 accuracy"]
    for ax, name in zip(axes, NAMES, strict=True):
        expect_drawn(ax, history, name)
    assert len({ax.figure for ax in axes}) == 1 and len(axes[0].figure.axes) == 3
    (ax,) = history.plot("accuracy")
    expect_drawn(ax, history, "accuracy")
    axes = history.plot([*NAMES, "loss"])
    assert len(axes) == len(axes[0].figure.axes) == 4


def test_axes_of_the_users(pyplot):
    history = trained()
    figure, axes = pyplot.subplots(2, 2)
    assert history.plot(ax=axes[0, 0]).tolist() == [axes[0, 0]]
    expect_drawn(axes[0, 0], history, "loss")
    history.plot(["accuracy", "top_2_accuracy"], ax=axes[1])
    expect_drawn(axes[1, 0], history, "accuracy")
    assert not axes[0, 1].lines
    history.plot("accuracy", ax=axes[0, 1])
    expect_drawn(axes[0, 1], history, "accuracy")
    assert len(history.plot(ax=axes)) == 3
    assert pyplot.get_fignums() == [figure.number]


def whole_ticks(ax):
    ax.figure.canvas.draw()
    low, high = ax.get_xlim()
    ticks = [tick for tick in ax.get_xticks() if low <= tick <= high]
    assert ticks and all(float(tick).is_integer() for tick in ticks)


@pytest.mark.parametrize("epochs", [1, 2, 40])
def test_short_and_long_histories(pyplot, epochs):
    history = trained(epochs)
    for ax in history.plot():
        whole_ticks(ax)
        marked = {line.get_marker() for line in ax.lines}
        assert marked == ({"o"} if epochs < 40 else {""})


def test_a_history_without_an_epoch(pyplot):
    for history in (trained(0), History(("loss",), 40, 10, 0)):
        for ax in history.plot():
            expect_drawn(ax, history, ax.get_ylabel().replace(" ", "_"))
            assert [text.get_text() for text in ax.texts] == ["no epoch yet"]
            ax.figure.canvas.draw()


def test_numbers_that_are_not_finite_are_gaps(pyplot):
    history = trained()
    history.val_loss[1] = math.inf
    (ax,) = history.plot("loss")
    ax.figure.canvas.draw()
    assert np.isnan(ax.lines[1].get_ydata()[1]) and np.isfinite(ax.lines[1].get_ydata()[0])
    assert history.val_loss[1] == math.inf


def test_a_training_that_runs_and_one_from_a_file(pyplot, tmp_path):
    drawn = []

    class Draw(Callback):
        def on_train_begin(self):
            self.draw(0)

        def on_epoch_end(self, epoch):
            self.draw(epoch)

        def draw(self, epoch):
            axes = self.history.plot()
            assert {len(ax.lines[0].get_xdata()) for ax in axes} == {epoch}
            drawn.append(epoch)

    net = MultiLayerNet(3, [4], 3, seed=0)
    history = trained(2, net, callbacks=[Draw(), Checkpoint(tmp_path / "w.npz")])
    assert drawn == [0, 1, 2]
    loaded = load_checkpoint(tmp_path / "w.npz", net)
    for ax, name in zip(loaded.plot(), NAMES, strict=True):
        expect_drawn(ax, history, name)


def test_arguments_of_plot_that_are_none(pyplot):
    history = trained()
    ax = pyplot.subplots()[1]
    for given, text in (
        ({"names": "val_loss"}, "^names: expected one of loss, accuracy, top_2_accuracy, got 'val"),
        ({"names": []}, "^names: expected some of loss, .*, got none"),
        ({"names": ["loss", "accuracy"], "ax": ax}, "^ax: expected axes .* of loss, accuracy, got"),
        ({"ax": 3}, "^ax: expected axes of matplotlib, one for each of loss, got 3"),
        ({"ax": [ax, ax]}, "^ax: expected axes"),
    ):
        with pytest.raises(ValueError, match=text):
            history.plot(**given)
    assert not ax.lines


def test_without_matplotlib_or_pandas(monkeypatch):
    history = trained()
    for module in ("matplotlib", "pandas"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match="^plot needs matplotlib: pip install .*matplotlib"):
        history.plot()
    with pytest.raises(ImportError, match="^to_frame needs pandas: pip install pandas$"):
        history.to_frame()


@pytest.mark.parametrize("epochs", [0, 3])
def test_frames(epochs, tmp_path):
    pytest.importorskip("pandas")
    net = MultiLayerNet(3, [4], 3, seed=0)
    history = trained(epochs, net)
    for each in (history, copy.deepcopy(history)):
        frame = each.to_frame()
        assert frame.index.name == "epoch" and [*frame.index] == [*range(1, epochs + 1)]
        assert [*frame.columns] == [*history.metrics, "lr", "seconds"]
        assert {str(dtype) for dtype in frame.dtypes} == {"float64"}
        for name in frame.columns:
            assert frame[name].tolist() == history[name]
        assert epochs == 0 or frame.loc[epochs].to_dict() == history.row(epochs)
