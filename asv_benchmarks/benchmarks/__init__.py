"""Benchmarks of fastnn, against its NumPy reference."""
