"""What users are told: the exception for their mistakes, and the callback for messages."""

from collections.abc import Callable

Say = Callable[[str], None]
"""Shows the user a message of one line."""


class UserError(ValueError):
    """Bad input: the message says what was expected, what was found, where, and what to do.

    Anything that a user can get wrong (a key, a file, a line) raises it. The command line prints
    only the message and exits with status 2; any other exception is a bug in nmt.
    """
