"""Our time beside that of other libraries: the same convolution in each, bursts of calls, processes of their own."""
