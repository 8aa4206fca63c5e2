"""Settings of JAX that cannot work: they are refused in a sentence, before JAX fails somewhere deep inside."""

import jax

Allowed = dict[str, tuple[bool | str, ...]]

SIMULATION: Allowed = {
    "jax_enable_x64": (False,),
    "jax_numpy_rank_promotion": ("allow", "warn"),
    "jax_numpy_dtype_promotion": ("standard",),
}
"""By setting: the values under which simulation and learning work, JAX's own default first."""

COMPILATION: Allowed = {"jax_disable_jit": (False,)}
"""The same for what has to be compiled as a whole."""


def check_jax_settings(allowed: Allowed) -> None:
    """Checks JAX's present settings.

    Raises:
      ValueError: one of them is not ``allowed``. The message names it.
    """
    for name, values in allowed.items():
        if (value := getattr(jax.config, name)) not in values:
            raise ValueError(
                f"JAX's setting {name} is {value!r}, with which this cannot work: unset {name.upper()}, or call "
                f"jax.config.update({name!r}, {values[0]!r})"
            )
