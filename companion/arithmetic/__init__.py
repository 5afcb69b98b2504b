"""What a layer computes: shapes, convolution, pooling and parameters.

Written to be read: plain loops over windows, checked against JAX and Keras in
`tests/arithmetic`. Arrays are NumPy's, channels come last.
"""

from .convolution import conv_layer, convolve, cross_correlate
from .parameters import conv_parameters, dense_parameters
from .pooling import average_pool, max_pool
from .shapes import output_size, receptive_field, same_padding
from .tables import multiply_adds, parameter_table

__all__ = [
    "average_pool",
    "conv_layer",
    "conv_parameters",
    "convolve",
    "cross_correlate",
    "dense_parameters",
    "max_pool",
    "multiply_adds",
    "output_size",
    "parameter_table",
    "receptive_field",
    "same_padding",
]
