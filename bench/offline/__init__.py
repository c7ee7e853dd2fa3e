"""The fused kernels compiled without a GPU, and what became of them."""
