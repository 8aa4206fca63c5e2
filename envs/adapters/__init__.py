"""To and from other libraries' environments; each adapter's library is imported only where it is used."""

from envs.adapters.foreign import foreign_task

__all__ = ["foreign_task"]
