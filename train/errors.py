"""The one kind of error that a user's input can cause."""


class UserError(Exception):
    """Something only the user can mend; its text is one sentence that says what. Exit code 2."""
