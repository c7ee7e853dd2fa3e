"""What is measured: axes, networks, cases, sweeps, shards, and how the words of a command become cases."""
