"""The command line without the script ``fastnn``: ``python -m fastnn info`` and so on."""

import sys

from fastnn._cli.commands import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m fastnn"))
