"""What the Japanese edition does differently; all else is found in ``numpy_dlfs``.

It needs this order on the path: ``numpy_dlfs_ja``, ``numpy_dlfs``, and the folder of the two.
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
