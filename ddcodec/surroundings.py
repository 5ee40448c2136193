"""What a caller may have set for all of NumPy or torch: our work has states of its own, and leaves the caller's as they
are.
"""

from contextlib import contextmanager, nullcontext
from functools import wraps

import numpy as np


def with_usual_errors(function):
    """A function in which NumPy treats floating-point errors as it does by default, whatever `numpy.seterr` says: an
    underflow is no error here.
    """

    @wraps(function)
    def guarded(*arguments, **options):
        with np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
            return function(*arguments, **options)

    return guarded


@contextmanager
def usual_torch(torch, threads=None):
    """Gradients are on, tensors are made on the CPU where no device is named, autocast is off; threads: of the CPU, or
    None for as many as there are set.

    The default type is one for all threads of the process, so that it is not touched: whoever makes tensors names their
    type.
    """
    before = torch.get_num_threads()
    if threads:
        torch.set_num_threads(threads)
    try:
        # Another default device is a mode that slows every call down, so that one is only set where there is another
        # already.
        on_cpu = nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast("cpu", enabled=False),
            torch.autocast("cuda", enabled=False),
            on_cpu,
        ):
            yield
    finally:
        torch.set_num_threads(before)
