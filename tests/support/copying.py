"""Ways in which programs copy objects, and hand them to their workers."""

import copy
import pickle
import tempfile
from pathlib import Path

import joblib


def out_of_band(value):
    """Return a copy as a worker gets it that maps memory: all its arrays can only be read."""
    buffers = []
    data = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[memoryview(bytes(b.raw())) for b in buffers])


def dumped(value, mmap_mode=None, **settings):
    """Return what joblib makes of one array that is there twice: two."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "value.joblib"
        joblib.dump(value, path, **settings)
        return joblib.load(path, mmap_mode=mmap_mode)


def remembered(value):
    """Return a value as a function whose results are kept on disk returns it."""
    with tempfile.TemporaryDirectory() as folder:
        function = joblib.Memory(folder, verbose=0).cache(lambda number: value)
        function(1)
        return function(1)


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "out of band": out_of_band,
    "joblib": dumped,
    "joblib, compressed": lambda value: dumped(value, compress=3),
    "joblib, mapped": lambda value: dumped(value, "r"),
    "joblib, mapped to be changed": lambda value: dumped(value, "c"),
    "joblib, remembered": remembered,
}
