"""Benchmarks of fastnn, against its NumPy reference."""

import os

# One thread each, for fastnn and for the BLAS below both implementations, unless the caller
# says otherwise: BLAS threads wait for one another by spinning, so that on a machine with
# other work a product can take a hundred times as long. BLAS reads these when it is loaded.
for _library in ("FASTNN_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM"):
    os.environ.setdefault(f"{_library}_THREADS", "1")
