"""What programs are made of, before they are compiled."""

from collections.abc import Iterator
from typing import Any

from jax.extend.core import jaxprs_in_params


def equations(jaxpr: Any) -> Iterator[Any]:
    """The equations of a jaxpr and of all that it calls."""
    for equation in jaxpr.eqns:
        yield equation
        for part in jaxprs_in_params(equation.params):
            yield from equations(part)


def branches(jaxpr: Any) -> list[Any]:
    """The conditionals among them, but for those that a compiler decides, which knows the platform."""
    found = list(equations(jaxpr))
    platforms = {out for equation in found if equation.primitive.name == "platform_index" for out in equation.outvars}
    return [equation for equation in found if equation.primitive.name == "cond" and equation.invars[0] not in platforms]
