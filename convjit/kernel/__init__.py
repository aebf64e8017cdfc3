"""The kernel: the convolution nearly as the machine runs it."""

from convjit.kernel import text as text  # gives kernels their `str`
