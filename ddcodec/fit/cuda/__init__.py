"""The engine of NVIDIA GPUs, in Triton kernels and captured graphs."""
