"""The command line: ``python -m fastnn info``, ``warmup``, ``bench`` or ``run``."""

import sys

from fastnn._cli import main

if __name__ == "__main__":
    sys.exit(main())
