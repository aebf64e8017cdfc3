"""The study of a convolution: error, speed, traffic, energy and sparsity across types, scales and dataflows."""
