"""One search of hyper-parameters by several worker processes, with a database between them.

The experiment of `hyperparameter_search.py`, 500 images of MNIST and six hidden layers of 100, with
its wider ranges. Workers know nothing of each other: each asks the database for its next trial, and
another machine would join in by the same command with --worker. Kill one of them, and its trial is
told as failed after twice the heartbeat and done again by another. Without --storage, SQLite in the
folder for pictures does; on several machines it is to be a server's, such as
postgresql+psycopg://user@host/name.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from _common import Data, count, load, parser

import fastnn
from fastnn import MultiLayerNet, optimizers
from fastnn import search as searches
from fastnn.search import Int, Log, Trial

RANGES = {"lr": Log(1e-6, 1.0), "weight decay": Log(1e-8, 1e-4), "units": Int(20, 200, log=True)}
IMAGES, HELD_OUT = 500, 0.2


def parse_arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    options = parser(__doc__)
    options.add_argument("--storage", help="URL of the database (default: SQLite in --out)")
    options.add_argument("--workers", type=count, default=2, help="processes")
    options.add_argument("--trials", type=count, default=40, help="of all processes")
    options.add_argument("--epochs", type=count, default=20, help="of a trial")
    options.add_argument("--heartbeat", type=count, default=10, help="seconds")
    options.add_argument("--worker", action="store_true", help="be one of the processes")
    return options.parse_args()


def work(data: Data, arguments: argparse.Namespace) -> None:
    """Run trials until all processes together have run enough."""
    data = data.first(IMAGES)

    def train(trial: Trial) -> None:
        network = MultiLayerNet(
            784,
            [trial["units"]] * 6,
            10,
            weight_decay_lambda=trial["weight decay"],
            seed=trial.number,
        )
        network.fit(
            data.x_train,
            data.t_train,
            trial.epochs,
            100,
            optimizers.SGD(trial["lr"]),
            validation=HELD_OUT,
            callbacks=[trial],
            verbose=False,
            seed=trial.number,
        )
        print(f"process {os.getpid()}: trial {trial.number} {trial.state}", flush=True)

    searches.search(
        train,
        RANGES,
        arguments.trials,
        epochs=arguments.epochs,
        seed=arguments.seed,
        storage=arguments.storage,
        heartbeat=arguments.heartbeat,
        verbose=False,
    )


def start(arguments: argparse.Namespace) -> list[subprocess.Popen[str]]:
    """Start the workers, each with its share of the threads."""
    share = max(1, fastnn.get_num_threads() // arguments.workers)
    command = [sys.executable, *sys.argv, "--worker", "--storage", arguments.storage]
    environment = os.environ | {"FASTNN_NUM_THREADS": str(share)}
    return [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(arguments.workers)
    ]


def main() -> None:
    """Run the example."""
    arguments = parse_arguments()
    if arguments.full:
        arguments.trials, arguments.epochs = 200, 50
    if arguments.storage is None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        arguments.storage = f"sqlite:///{(arguments.out / 'search.db').resolve()}"
    if arguments.worker:
        work(load(arguments), arguments)
        return
    workers = start(arguments)
    done = [worker.communicate()[0].count(": trial ") for worker in workers]
    if any(worker.returncode for worker in workers):
        print("some processes ended with an error; what they began is done again by the next run")
    result = searches.load(arguments.storage)
    print(f"trials of each process: {', '.join(map(str, done))}; in {arguments.storage}")
    print(result)
    print("hint: `pip install optuna-dashboard; optuna-dashboard URL` shows it in a browser")


if __name__ == "__main__":
    main()
