"""The first screen of a report: what was measured and how far to trust it, a picture, a few numbers, surprises."""
