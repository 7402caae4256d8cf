"""``cs231n.classifiers``: linear classifiers; networks are in modules of their own."""

from fastnn.dropin.cs231n.classifiers import linear_classifier
from fastnn.dropin.cs231n.classifiers.linear_classifier import *  # noqa: F403

__all__ = [*linear_classifier.__all__]
