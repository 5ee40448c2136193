"""The states of NumPy and torch that a caller may have set.

Our work has states of its own, and leaves the caller's as they are.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def with_usual_errors(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorate a function so that NumPy treats floating-point errors in it as by default.

    Whatever `numpy.seterr` says, an underflow is then no error.
    """

    @wraps(function)
    def guarded(*arguments: Parameters.args, **options: Parameters.kwargs) -> Result:
        with np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
            return function(*arguments, **options)

    return guarded


@contextmanager
def usual_torch(torch: Any, threads: int | None = None) -> Iterator[None]:
    """Give torch its usual states: gradients are on, tensors are made on the CPU by default, autocast is off.

    The default type holds for all threads of the process, so that it is not touched. Code that makes tensors names
    their type.

    torch: the module. threads: of the CPU; None for as many as are set.
    """
    before = torch.get_num_threads()
    if threads:
        torch.set_num_threads(threads)
    try:
        # A default device that is set slows every call down. So one is set only where there is another already.
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
