"""Training of a network: epochs, schedules, callbacks, checkpoints, the book's ``Trainer``."""
