"""The kernel: the convolution nearly as the machine runs it."""
