"""Training small networks on scikit-learn's digits."""
