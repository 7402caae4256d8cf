"""Training of networks: what ``network.fit`` and ``Trainer`` do.

- `settings`: the arguments of ``fit``, checked; `data`: samples and targets, checked.
- `loop`: one training, from its data to its history; `beginning`: with a new history, or with that
  of a training to resume; `epochs`: the epochs, with validation, records and callbacks; `runner`:
  stretches of steps in them.
- `choice`: which executor carries out steps, the compiled program or `layerwise`.
- `history`: what was recorded, the settings, and what a training needs to go on; `checkpoint`: all
  of it in a file, whose name is a `checkpoint_name`; `recorded`: what such a file says, checked.
- `callbacks` and the `epoch_rows` of one, `schedules` and the `factors` that they give,
  `evaluation`, `progress`: as named.
- `trainer`: the book's ``Trainer``, on the same executors and runner.
"""
