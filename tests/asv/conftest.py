"""The packages beside the benchmarks are no part of the library: tests find them here."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "asv_benchmarks"))
