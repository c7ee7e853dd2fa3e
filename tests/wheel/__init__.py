"""Tests of what is built out of the checkout: the wheel and the source distribution."""
