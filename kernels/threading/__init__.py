"""One thread pool, and how work is cut and shared."""
