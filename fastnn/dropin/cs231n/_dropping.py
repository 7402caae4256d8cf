"""Whether a solution of the course's dropout keeps or drops with the probability p."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np

_P = 0.25
_SIZE = 32  # squared: the share that is kept is then within 0.1 of what is meant


def drops(definitions: Mapping[str, ast.stmt]) -> bool:
    """Say whether a function ``dropout_forward`` drops elements with the probability p.

    The texts of 2016 and 2017 say so, later ones that p is for keeping. The function is called on
    ones; if it is none, or fails, as it does before it is written, the answer is no.
    """
    forward = definitions.get("dropout_forward")
    if forward is None:
        return False
    state = np.random.get_state()
    try:
        namespace: dict[str, Any] = {"np": np, "numpy": np}
        code = compile(ast.Module([forward], []), "dropout_forward", "exec", dont_inherit=True)
        exec(code, namespace)
        out, _ = namespace["dropout_forward"](
            np.ones((_SIZE, _SIZE)), {"mode": "train", "p": _P, "seed": 0}
        )
        return bool(np.mean(out != 0) > 0.5)
    except Exception:
        return False
    finally:
        np.random.set_state(state)
