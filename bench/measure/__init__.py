"""Measuring one case in this process: tensors, the check against float64, samples, memory."""
