"""What a task says of a library that is not installed."""


class MissingExtra(ValueError):
    """A task needs a library that is not installed.

    Args:
      name: the task.
      library: the library, as its authors write it.
      extra: the extra of this project that installs it.
      or_else: what else helps, in words; "" if nothing does.

    Attributes:
      needs: what the task needs, and how to install it: the part of the message that is the same for all tasks of a library.
    """

    def __init__(self, name: str, library: str, extra: str, or_else: str = ""):
        verb = "are" if library.endswith("s") else "is"
        self.needs = f"{library}, which {verb} not installed: pip install 'mjx-tecrl[{extra}]'"
        self.needs += f", or {or_else}" if or_else else ""
        super().__init__(f"{name} needs {self.needs}")
