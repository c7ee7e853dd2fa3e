"""Tests of the operator, its implementations, the layer and the networks."""
