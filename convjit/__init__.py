"""convjit: a small language for convolution, compiled to AVX and PTX code, with every stage readable."""
