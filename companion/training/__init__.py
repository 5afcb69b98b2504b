"""Networks, their training and their evaluation, in Keras 3 on JAX."""

from companion.training import runtime

# Before JAX starts its threads and compiles.
runtime.keep_memory()
runtime.fit_threads()
runtime.leave_out_ynnpack()
runtime.keep_compiled()
