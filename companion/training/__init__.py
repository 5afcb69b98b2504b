"""Networks, their training and their evaluation, in Keras 3 on JAX."""
