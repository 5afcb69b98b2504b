"""Data of the book: fetched, read, drawn, cooked, stored and split.

It flows one way::

    archive ─► frames ─► cooked HDF5 ─► split

Modules: `fetch` (downloads), `mnist` and `gtsrb` (readers of the official files), `synthetic`
(drawn signs that stand in for GTSRB), `cooking` (enhancement recipes), `store` (HDF5 files),
`splits` (training and validation, by track).
"""

from companion.data.dataset import Dataset, open_dataset
from companion.data.registry import DataError

__all__ = ["DataError", "Dataset", "open_dataset"]
