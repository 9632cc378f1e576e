"""Contexts of TLS 1.3 for both ends: a certificate that is made for a run, and signs itself."""

from __future__ import annotations

import datetime
import ssl
import tempfile
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME: Final = "bench.example"


class Certificate:
    """A P-256 key and its certificate, which servers show and clients trust."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        self._pem = made.public_bytes(serialization.Encoding.PEM)
        self._key = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def contexts(self, group: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        """A client's and a server's, of TLS 1.3 and the one ``group`` by OpenSSL's name.

        Raises ValueError where this OpenSSL does not have it.
        """
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.load_verify_locations(cadata=self._pem.decode())
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory(prefix="edotun-bench-") as folder:
            # A context takes its chain from a file only; the folder is for this user alone.
            file = Path(folder, "server.pem")
            file.write_bytes(self._key + self._pem)
            server.load_cert_chain(file)
        for context in (client, server):
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            try:
                context.set_ecdh_curve(group)
            except (ValueError, ssl.SSLError):
                raise ValueError(f"OpenSSL has no group {group}") from None
        return client, server
