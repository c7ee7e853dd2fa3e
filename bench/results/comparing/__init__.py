"""Runs held against each other: intervals, verdicts, comparisons of two, the history of many."""
