"""Settings of JAX under which nothing here works: they are refused in a sentence, before JAX fails somewhere deep inside."""

import jax

_ALLOWED: dict[str, tuple[bool | str, ...]] = {
    "jax_enable_x64": (False,),
    "jax_numpy_rank_promotion": ("allow", "warn"),
    "jax_numpy_dtype_promotion": ("standard",),
}
"""By setting: the values under which everything works, JAX's own default first."""


def check_jax_settings() -> None:
    """Checks that JAX computes in float32 and promotes ranks and types, as MJX and this package expect.

    Raises:
      ValueError: it does not. The message names the setting.
    """
    for name, values in _ALLOWED.items():
        if (value := getattr(jax.config, name)) not in values:
            raise ValueError(
                f"JAX's setting {name} is {value!r}, with which nothing here works: unset {name.upper()}, or "
                f"call jax.config.update({name!r}, {values[0]!r})"
            )
