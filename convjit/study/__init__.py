"""Studies of one spec: error, speed, traffic, energy and sparsity, and the page that shows them."""
