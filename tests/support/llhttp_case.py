"""What the requests of llhttp's own test suite are written down as."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LlhttpRequest:
    """One request. `stricter` says why the edge refuses what the parser accepts."""

    name: str
    text: str
    accepted: bool
    stricter: str = ""

    @property
    def sent(self) -> bytes:
        """Return its bytes."""
        lines = self.text.replace("\n", "\r\n").encode("latin-1")
        return lines.replace(b"<LF>", b"\n").replace(b"<CR>", b"\r")

    @property
    def sent_with_host(self) -> bytes:
        """Return its bytes, and a host behind the request line if there is none."""
        line, end, rest = self.sent.partition(b" HTTP/1.1\r\n")
        if not end or b"\r\nhost:" in b"\r\n" + rest.lower():
            return self.sent
        return line + end + b"host: x\r\n" + rest

    def __str__(self) -> str:
        """Return the name, for pytest."""
        return self.name
