"""What a convolution is: sizes, types, padding and what follows the sum, with every default filled in."""
