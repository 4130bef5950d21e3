"""Telling a learner what is wrong with an answer."""

from lessons_lib.teach.checks import check

__all__ = ["check"]
