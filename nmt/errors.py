"""The one exception that a user's mistake raises; the command line prints it as one sentence."""


class UserError(ValueError):
    """Bad input: the message says what was expected, what was found, where, and what to do.

    Everything that a user can get wrong (a key, a file, a line) ends here. The command line
    prints the message alone and leaves with status 2; any other exception is a defect of ours.
    """
