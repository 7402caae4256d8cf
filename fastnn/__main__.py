"""The command line: ``python -m fastnn info``, ``warmup`` or ``bench``."""

import sys

from fastnn._cli import main

if __name__ == "__main__":
    sys.exit(main())
