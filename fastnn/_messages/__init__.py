"""What is said of work under way: lines while kernels compile, progress bars."""
