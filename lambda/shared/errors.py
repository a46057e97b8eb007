"""How another system fails: later it may work, or it never will."""


class UnavailableError(Exception):
    """The other side did not do it now; asked again later, it may. The message is one sentence."""


class RefusedError(Exception):
    """The other side does not do it, however often it is asked. The message is one sentence.

    Attributes
    ----------
    status : int
        The HTTP status of the answer, 0 if there was none.
    reason : str
        The other side's own word for it, such as `team_member_already_in_team` or `MessageRejected`.
    """

    def __init__(self, sentence: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(sentence)
        self.status, self.reason = status, reason
