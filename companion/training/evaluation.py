"""The one door to the test set."""


def open_test_set(run):
    """Open the test set of a run's data, and write into its report that it was opened.

    A test set tells how a finished choice does on data that took no part in it. Each look at it
    that leads to another choice makes it tell less, so this is the only function that reads
    it, and the report says when and how often it did. Taught in the chapter
    *GTSRB 2: a first network for traffic signs*.

    Parameters
    ----------
    run : companion.experiments.runs.Run
        A run that is trained and validated.

    Returns
    -------
    x : ndarray of uint8, (N, H, W, C)
        The test images, with values in 0 … 255.
    class_ids : ndarray of int, (N,)
        Their classes.

    Raises
    ------
    ValueError
        If the run has no validation result yet: choices are made before the test set is opened.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> unfinished = SimpleNamespace(report=SimpleNamespace(validation=None))
    >>> open_test_set(unfinished)
    Traceback (most recent call last):
        ...
    ValueError: run has no validation result yet: finish it before its test set is opened
    """
    if run.report.validation is None:
        raise ValueError(
            "run has no validation result yet: finish it before its test set is opened"
        )
    x, class_ids = run.data._load_test()
    run.record_opening()
    return x, class_ids
