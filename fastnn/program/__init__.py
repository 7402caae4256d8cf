"""The compiled training program: many steps of a training in one call."""

from fastnn.program.program import Program

__all__ = ["Program"]
