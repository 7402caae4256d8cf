"""Check the gradients of a network on MNIST, and see how the step of the differences matters.

Gradient checks of the CS231n notes ("Neural networks 3: learning"). A network 784-50-50-10 with
ReLU, batch normalisation, dropout and weight decay is checked before and after a short training,
and again with a wrong backward pass planted. The picture shows the relative error against the
step h: from the right it falls with h^2, as differences approach the derivative, until rounding
makes it rise again; in single precision that is too soon. Differences that take a ReLU across
its kink are off at any precision.
"""

from __future__ import annotations

import argparse

import numpy as np
from _common import Data, count, listed, load, parser, save, text
from matplotlib import pyplot as plt
from tqdm import tqdm

from fastnn import MultiLayerNet, MultiLayerNetExtend, layers
from fastnn.gradient_check import GradientReport, ParameterCheck, gradient_check

STEPS = np.logspace(-1, -11, 31)
THRESHOLDS = (1e-2, 1e-4, 1e-7)
VERDICTS = {
    1e-1: "probably\nwrong",
    1e-3: "uncom-\nfortable",
    10**-5.5: "okay with\nkinks",
    1e-9: "happy",
}  # where they are written
PLANTED = "with a planted bug: BatchNorm2 takes mean and variance for constants"
BEFORE = "W1", "b1", "gamma1", "beta1", "W2", "b2"  # the bug, on the way of the input
SHOWN = 12  # entries of the gradient that are drawn


class ForgetfulBatchNorm(layers.BatchNormRelu):
    """A bug: the backward pass takes mean and variance of the batch for constants."""

    def backward(self, dout: np.ndarray) -> np.ndarray:
        """Return the gradient without the parts that go through mean and variance."""
        super().backward(dout)
        _, _, rstd = self._saved
        return np.where(self.mask, 0, dout) * self.gamma * rstd


def parse_arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    options = parser(__doc__)
    options.add_argument("--entries", type=count, help="entries a parameter (10; 100 with --full)")
    options.add_argument("--burn-in", type=count, default=100, help="training steps before a check")
    arguments = options.parse_args()
    arguments.entries = arguments.entries or (100 if arguments.full else 10)
    return arguments


def network(arguments: argparse.Namespace) -> MultiLayerNetExtend:
    """Return the network that is checked."""
    return MultiLayerNetExtend(
        784, [50, 50], 10, use_batchnorm=True, use_dropout=True, weight_decay_lambda=1e-4,
        seed=arguments.seed,
    )  # fmt: skip


def tables(data: Data, arguments: argparse.Namespace) -> None:
    """Print the reports of the right network, before and after training, and of the wrong one."""
    x, t = data.x_train[:2000], data.t_train[:2000]
    settings = {"entries": arguments.entries, "seed": arguments.seed}
    right, wrong = network(arguments), network(arguments)
    norm = wrong.layers["BatchNorm2"]
    wrong.weight_decay_lambda = 0  # its penalty is that of the others
    wrong.layers["BatchNorm2"] = ForgetfulBatchNorm(norm.gamma, norm.beta)
    reports = {}
    for title, net, burn_in in [
        ("fresh", right, 0),
        (f"after {arguments.burn_in} steps of training", right, arguments.burn_in),
        (PLANTED, wrong, 0),
    ]:
        print(f"\n=== {title} ===")
        reports[title] = gradient_check(net, x, t, burn_in=burn_in, **settings)
        print(reports[title])
    right_ok = all(report.ok for title, report in reports.items() if title != PLANTED)
    planted = {key: judgement(check) for key, check in reports[PLANTED].checks.items()}
    print(f"\n{conclusions(right_ok, planted)}")


def judgement(check: ParameterCheck) -> bool | None:
    """Return whether a gradient passed; None where it is zero or too small to tell."""
    return None if check.judged == check.zero.sum() else check.ok


def conclusions(right_ok: bool, planted: dict[str, bool | None]) -> str:
    """Return what the checks say.

    Parameters
    ----------
    right_ok : bool
        Whether the right network passed.
    planted : dict of str to bool or None
        The judgement on each parameter of the wrong one.
    """
    wrong, right, untold = (
        [key for key, passed in planted.items() if passed is kind] for kind in (False, True, None)
    )
    said = [f"The right network {'passed' if right_ok else 'DID NOT PASS'}."]
    if not wrong:
        return text(*said, "The bug was not found.")
    said.append(
        f"With the bug {listed(wrong)} fail" + (f", {listed(right)} pass." if right else ".")
    )
    if set(wrong) <= set(BEFORE) and not set(right) & set(BEFORE):
        said.append("What lies before it gets wrong gradients, what lies behind it right ones.")
    if untold:
        said.append(f"The gradient of {listed(untold)} is zero or too small to tell.")
    return text(*said)


def curves(data: Data, arguments: argparse.Namespace) -> dict[str, GradientReport]:
    """Return reports over many steps: tanh in both precisions, ReLU on many images."""
    reports = {}
    cases = [
        ("tanh, float64", "tanh", np.float64, 3),
        ("tanh, float32", "tanh", np.float32, 3),
        ("ReLU, 3 images", "relu", np.float64, 3),
        ("ReLU, 100 images", "relu", np.float64, 100),
    ]
    for name, activation, dtype, samples in tqdm(cases, desc="curves", leave=False):
        net = MultiLayerNet(784, [50, 50], 10, activation, seed=arguments.seed)
        reports[name] = gradient_check(
            net, data.x_train, data.t_train, samples=samples, steps=STEPS, dtype=dtype,
            entries=arguments.entries, seed=arguments.seed,
        )  # fmt: skip
    return reports


def band(axes: plt.Axes, report: GradientReport, label: str, color: str) -> None:
    """Draw the median error, and between which values most errors are."""
    low, median, high = np.nanpercentile(report.errors(crossed=True), [10, 50, 90], axis=0)
    axes.loglog(report.steps, median, color=color, label=label)
    axes.fill_between(report.steps, low, high, color=color, alpha=0.2, linewidth=0)


def entries(axes: plt.Axes, report: GradientReport, title: str) -> None:
    """Draw the error of each entry, and mark differences that crossed a kink."""
    everything, smooth = report.errors(crossed=True), report.errors()
    some = smooth[:: -(-len(smooth) // SHOWN)]
    axes.loglog(report.steps, some.T, color="lightsteelblue", linewidth=0.8)
    crossed = np.where(np.isnan(smooth), everything, np.nan)
    steps = np.broadcast_to(report.steps, crossed.shape)
    axes.scatter(steps, crossed, s=9, color="tab:red", zorder=3)
    axes.plot([], [], color="lightsteelblue", label="entries of the gradient")
    axes.plot([], [], "o", markersize=3, color="tab:red", label="a kink was crossed")
    axes.set(title=title, xlabel="step h")
    axes.grid(visible=False)


def plot(reports: dict[str, GradientReport]) -> plt.Figure:
    """Return the picture: errors against steps."""
    figure, panels = plt.subplots(1, 3, figsize=(9.2, 3.5), sharey=True, layout="constrained")
    band(panels[0], reports["tanh, float64"], "float64", "tab:blue")
    band(panels[0], reports["tanh, float32"], "float32", "tab:orange")
    panels[0].set(
        title="tanh: truncation and rounding", xlabel="step h", ylabel="relative error",
        ylim=(1e-13, 5),
    )  # fmt: skip
    for axes, name in zip(panels[1:], ("ReLU, 3 images", "ReLU, 100 images"), strict=True):
        entries(axes, reports[name], name)
    for axes in panels:
        for limit in THRESHOLDS:
            axes.axhline(limit, color="black", linestyle=":", linewidth=0.8)
        axes.legend(loc="lower left")
    for height, verdict in VERDICTS.items():
        place = panels[2].get_yaxis_transform()
        panels[2].text(1.04, height, verdict, fontsize="small", va="center", transform=place)
    return figure


def main() -> None:
    """Print the tables and save the picture."""
    arguments = parse_arguments()
    data = load(arguments)
    tables(data, arguments)
    reports = curves(data, arguments)
    print("\n                   smallest median error   across a kink with h = 0.1")
    for name, report in reports.items():
        median = np.nanmedian(report.errors(crossed=True), axis=0)
        share = np.mean(np.isnan(report.errors()[:, 0]))
        step = report.steps[median.argmin()]
        print(f"{name:17} {median.min():9.1e} at h = {step:.0e}  {share:26.0%}")
    save(plot(reports), arguments, "gradient_checks.png")


if __name__ == "__main__":
    main()
