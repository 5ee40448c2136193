"""The engine of the CPU, in kernels that numba compiles."""
