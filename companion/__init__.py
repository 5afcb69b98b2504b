"""The tested companion package of the textbook *From Kernel to Cluster*.

Rooms, each knowing those before it and none after: `companion.arithmetic`, `companion.data`,
`companion.training`, `companion.experiments`; then `companion.plots`, the command line and the
book.
"""

import os
import sys
from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("companion")
except PackageNotFoundError:  # a checkout that nobody installed
    __version__ = "0+unknown"

# Keras reads this once, when it is first imported, and looks for TensorFlow where it is not set.
if "keras" not in sys.modules:
    os.environ.setdefault("KERAS_BACKEND", "jax")
