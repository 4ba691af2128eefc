"""Where it is chosen whether kernels are fast or plain: everywhere at once, by `plain()`.

A kernel is a function that computes the numbers of a shorter one, its plain form, in less time or memory.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_plain = ContextVar("plain", default=False)


def is_plain() -> bool:
    """Whether `plain()` lasts."""
    return _plain.get()


@contextmanager
def plain() -> Iterator[None]:
    """While this lasts, every kernel of this package is its plain form."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


def faster_than(plain_form: Callable[P, R]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator of a kernel: while `plain()` lasts, a call of it is a call of its plain form."""

    def decorate(kernel: Callable[P, R]) -> Callable[P, R]:
        @wraps(kernel)
        def chosen(*args: P.args, **kwargs: P.kwargs) -> R:
            return (plain_form if _plain.get() else kernel)(*args, **kwargs)

        return chosen

    return decorate
