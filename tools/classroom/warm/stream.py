"""What a student's code prints, up to a limit: an endless loop of print() must not fill the grader's memory."""

from typing import Any

from ipykernel.iostream import OutStream

MOST = 200_000  # characters, of standard output and of standard error each


class Limited(OutStream):
    """A kernel's stream that falls silent, and says so, once a notebook has printed enough."""

    printed = 0

    def write(self, string: str) -> Any:
        """Write what still fits."""
        before, self.printed = self.printed, self.printed + len(string)
        if before > MOST:
            return len(string)
        if self.printed > MOST:
            string = f"{string[: MOST - before]}\n[more was printed than the {MOST:,} characters that are kept]\n"
            super().write(string)
            return len(string)
        return super().write(string)
