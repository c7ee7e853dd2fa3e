"""What a case costs by the paper and by the GPU's rates: counts, bounds, metrics. Free of torch."""
