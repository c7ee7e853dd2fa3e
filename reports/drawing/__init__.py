"""Plots, heat maps and figures."""
