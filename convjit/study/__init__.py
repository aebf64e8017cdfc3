"""Error, scales and zeros of one convolution across types: what the study measures, as plain data."""
