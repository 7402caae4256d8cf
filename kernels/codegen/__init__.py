"""Machine code: LLVM IR for vectors and atomics, how kernels are compiled and kept on disk."""
