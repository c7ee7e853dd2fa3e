"""The commands: each takes the words of the command line and gives an exit code."""
