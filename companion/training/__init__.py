"""Networks, their training and their evaluation, in Keras 3 on JAX."""

from companion.training import runtime

runtime.keep_memory()  # before JAX starts its threads
