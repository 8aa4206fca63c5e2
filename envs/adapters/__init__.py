"""Adapters to and from the environments of other libraries. Each library is imported only when its adapter is used."""

from envs.adapters.foreign import foreign_task

__all__ = ["foreign_task"]
