"""Matrix products: micro-kernel, packing, blocking."""
