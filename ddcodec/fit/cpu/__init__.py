"""The engine of the CPU, which calls the kernels of `native/fit`."""
