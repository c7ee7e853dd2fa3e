"""The tests: everything is compared with an independent definition."""
