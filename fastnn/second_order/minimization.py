"""What a second-order method recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fastnn._utils import html


@dataclass(repr=False)
class Minimization:
    """What :func:`lbfgs` or :func:`newton` recorded.

    Attributes
    ----------
    method : str
    loss : list of float
        With weight penalty: at the start, and after each iteration.
    gradient_norm : list of float
        Largest absolute value in the gradient there.
    evaluations : list of int
        How often the gradient had been computed by then: passes over all samples.
    seconds : list of float
        What had passed by then, without the compiling and loading of kernels.
    converged : bool
        Whether it ended at a minimum, as far as its tolerances tell.
    message : str
        Why it ended.
    """

    method: str
    loss: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    evaluations: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    converged: bool = False
    message: str = ""

    @property
    def iterations(self) -> int:
        """Number of iterations."""
        return max(0, len(self.loss) - 1)

    def _facts(self) -> dict[str, str]:
        return {"loss": f"{self.loss[-1]:.4g}"}

    def __repr__(self) -> str:
        if not self.loss:
            return f"Minimization({self.method}, not begun)"
        return (
            f"Minimization({self.method}, {self.iterations} iterations, "
            f"{self.evaluations[-1]} evaluations, {self.seconds[-1]:.2f} s: "
            f"loss {self.loss[0]:.4g} to {self.loss[-1]:.4g}, "
            f"gradient norm {self.gradient_norm[-1]:.2g}; {self.message})"
        )

    def _repr_html_(self) -> str:
        rows = [
            [str(i), f"{loss:.6g}", f"{norm:.2g}", str(evaluations), f"{seconds:.2f}"]
            for i, (loss, norm, evaluations, seconds) in enumerate(
                zip(self.loss, self.gradient_norm, self.evaluations, self.seconds, strict=True)
            )
        ]
        head = ["iteration", "loss", "gradient norm", "evaluations", "seconds"]
        return html.join(
            html.heading(f"{self.method}: {self.message or 'not begun'}"),
            html.curves({"loss": self.loss}),
            html.table(head, html.some_rows(rows)),
        )


Watcher = Callable[[Minimization], bool | None]
