"""Networks from files."""

from fastnn.networks.files import load

__all__ = ["load"]
