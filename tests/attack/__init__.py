"""The standing attack: calls, files and processes that try to make fastnn break its word.

Each module here that has a function ``attack`` is an attack; nothing lists them. It has

- ``attack(amount, seed) -> Outcome``: makes `amount` of its units (calls, kills, seconds ...),
  number i from the seed ``seed + i``, so that ``--amount 1 --seed S`` makes the one that failed;
- ``UNIT``, the key of their count among the outcome's figures; ``FULL``, how many `make attack`
  makes; ``CHUNK``, how many between two lines of the file of outcomes: what a stop can lose;
  ``RANK``, its place in a run: first what finds most in its time.

``python -m tests.attack`` runs them; ``--help`` says how. `outcome` has the record, `running` the
run, `machine` what is said of where it ran, `report` the page made from it. All of them need Linux.
"""

import sys
from pathlib import Path

# As in pyproject.toml for pytest.
SUPPORT = str(Path(__file__).parents[1] / "support")
if SUPPORT not in sys.path:
    sys.path.append(SUPPORT)
