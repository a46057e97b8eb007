"""The certificate authority of the outside world, and the certificates that the simulated hosts show."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


class Authority:
    """A CA that a folder keeps, so that a restart has the same; made if there is none.

    Parameters
    ----------
    folder
        Of its certificate (ca.pem, which is `file`) and its key (ca.key).

    Raises
    ------
    ValueError
        The two files are not a CA.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "ca.pem"
        self._ca = _load_or_make(self.file, folder / "ca.key")
        self._contexts: dict[tuple[str, bool], ssl.SSLContext] = {}

    def context(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        """Return what a server of these names needs, with a new certificate, or with one of yesterday."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        until = datetime.now(UTC) - timedelta(days=1) if expired else None
        self._ca.issue_cert(*names, not_before=until and until - timedelta(days=90), not_after=until).configure_cert(
            context
        )
        return context

    def context_of_each(
        self, knows: Callable[[str], bool], expired: Callable[[str], bool] = lambda _: False
    ) -> ssl.SSLContext:
        """Return a context that shows each caller the certificate of the known host that it asks for."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

        def choose(connection: ssl.SSLObject, host: str | None, _: ssl.SSLContext) -> int | None:
            if host is None or not knows(host):
                return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            shown = (host, expired(host))
            if shown not in self._contexts:
                self._contexts[shown] = self.context(host, expired=shown[1])
            connection.context = self._contexts[shown]
            return None

        context.sni_callback = choose
        return context


def _load_or_make(certificate: Path, key: Path) -> trustme.CA:
    if certificate.exists() and key.exists():
        try:
            return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
        except ValueError as error:
            raise ValueError(f"{certificate} and {key} are not a CA; delete both to make a new one.") from error
    ca = trustme.CA(organization_name="Simulated outside world of the LLM gateway")
    key.touch(mode=0o600)
    key.write_bytes(ca.private_key_pem.bytes())
    certificate.write_bytes(ca.cert_pem.bytes())
    return ca
