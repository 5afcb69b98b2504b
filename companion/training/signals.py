"""Stopping in good order when a scheduler, or a person, says so."""

import signal
import threading

STOPPED = 99  # OAR submits a job of this exit status anew; the job files for Slurm follow it


class Interrupted(SystemExit):
    """A training was stopped by a signal, after a checkpoint was written; its exit code is 99.

    Parameters
    ----------
    name : str
        Of the signal.
    """

    def __init__(self, name):
        super().__init__(STOPPED)
        self.name = name

    def __str__(self):
        return f"stopped by {self.name}"


class Stop:
    """Notes the signals that mean "stop soon", for the training to look at between two batches.

    A handler may be called in the middle of anything, so it notes the signal and does nothing
    else. A second interrupt from the keyboard stops at once. Taught in the chapter
    *GTSRB 3: monitoring and checkpoints*.

    Parameters
    ----------
    names : sequence of str
        Signals; those that the system does not have are left out. Slurm sends SIGTERM when it
        takes a node back, and any signal that one asks for before the time limit, commonly
        SIGUSR1; OAR likewise, commonly SIGUSR2.

    Attributes
    ----------
    name : str or None
        The signal that came.

    Examples
    --------
    >>> with Stop(["SIGTERM"]) as stop:
    ...     signal.raise_signal(signal.SIGTERM)
    ...     stop.name
    'SIGTERM'
    """

    def __init__(self, names=("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2")):
        self.name = None
        self._before = {}
        if threading.current_thread() is not threading.main_thread():
            return  # Python lets the main thread alone set handlers
        for name in names:
            if number := getattr(signal, name, None):
                self._before[number] = signal.signal(number, self._note)

    def _note(self, number, frame):
        if self.name and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.name = signal.Signals(number).name

    def check(self):
        """Raise `Interrupted` if a signal came."""
        if self.name:
            raise Interrupted(self.name)

    def release(self):
        """Give the signals back to those who had them before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.release()
