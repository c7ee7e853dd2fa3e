"""One module or package for each implementation; none of them imports another."""
