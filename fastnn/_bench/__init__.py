"""What ``python -m fastnn bench`` does: fastnn and its peers, timed in turns.

- :mod:`fastnn._bench.timing`: the clock.
- :mod:`fastnn._bench.families`: what is timed, in which sizes.
- :mod:`fastnn._bench.peers`: the same operations in fastnn, NumPy, PyTorch and JAX.
- :mod:`fastnn._bench.training`: whole training in each library, scikit-learn among them.
- :mod:`fastnn._bench.starts`: new processes, until their first result.
- :mod:`fastnn._bench.calls`: every function of ops, and the same in plain NumPy.
- :mod:`fastnn._bench.measure`: a case, its results compared, then timed.
- :mod:`fastnn._bench.limits`: the machine's own speed.
- :mod:`fastnn._bench.worker`: a process that measures, with so many threads.
- :mod:`fastnn._bench.run`: starts these processes; :mod:`fastnn._bench.table` prints, and
  :mod:`fastnn._bench.plot` draws.
"""
