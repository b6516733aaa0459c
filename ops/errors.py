"""What an operator asked for and cannot be: one sentence that says what to do, and exit code 2."""


class OperatorError(Exception):
    """Its text is for the operator. Every command's own error is one of these."""
