"""The certificate authority of the progress endpoint, and the certificate that it serves with.

Pure but for the making of keys: bytes and times in, bytes out.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE = timedelta(days=3650)
AUTHORITY_NEXT = timedelta(days=365)
"""So long before its end the next authority is made, and handed to new pods beside it."""
AUTHORITY_CHANGE = timedelta(days=90)
"""So long before its end the next authority takes over; by then every pod that runs has both."""
SERVING_LIFE = timedelta(days=90)
SERVING_RENEWAL = timedelta(days=30)
_SKEW = timedelta(minutes=10)
"""Clocks of nodes differ."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes

    def read(self) -> x509.Certificate:
        """Parse the certificate; raises ValueError where it is none."""
        return x509.load_pem_x509_certificate(self.certificate)


@dataclass(frozen=True)
class Identity:
    """All that the endpoint needs: whom pods trust, and what it serves with."""

    authority: Pair
    serving: Pair
    next_authority: Pair | None = None

    @property
    def trust(self) -> str:
        """The authorities that pods are to trust, PEM."""
        following = self.next_authority.certificate if self.next_authority else b""
        return (self.authority.certificate + following).decode()


def fresh_identity(known: Identity | None, host: str, now: datetime) -> Identity:
    """Give the identity that is right for `host` now: the known one, or what must be renewed."""
    authority = known.authority if known else None
    following = known.next_authority if known else None
    if authority is None or not _lasts(authority, now, AUTHORITY_CHANGE):
        usable = following is not None and _lasts(following, now, AUTHORITY_CHANGE)
        authority = following if following and usable else make_authority(now)
        following = None
    if following is None and not _lasts(authority, now, AUTHORITY_NEXT):
        following = make_authority(now)
    serving = known.serving if known else None
    if serving is None or not _serves(serving, authority, host, now):
        serving = make_serving(authority, host, now)
    return Identity(authority, serving, following)


def make_authority(now: datetime) -> Pair:
    """Make a certificate authority that can sign nothing but servers' certificates."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "splat-operator progress CA")])
    builder = (
        _builder(name, name, key.public_key(), now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def make_serving(authority: Pair, host: str, now: datetime) -> Pair:
    """Make a server's certificate for one host name or IP address."""
    issuer = authority.read()
    issuer_key = serialization.load_pem_private_key(authority.key, password=None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is not one of ours")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "splat-operator progress")])
    life = min(SERVING_LIFE, issuer.not_valid_after_utc - now)
    builder = (
        _builder(name, issuer.subject, key.public_key(), now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    return _pair(builder.sign(issuer_key, hashes.SHA256()), key)


def _serves(serving: Pair, authority: Pair, host: str, now: datetime) -> bool:
    try:
        certificate = serving.read()
        certificate.verify_directly_issued_by(authority.read())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return _general_name(host) in list(names.value) and _lasts(serving, now, SERVING_RENEWAL)


def _lasts(pair: Pair, now: datetime, at_least: timedelta) -> bool:
    try:
        return pair.read().not_valid_after_utc - now > at_least
    except ValueError:
        return False


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, key_cert_sign: bool = False, digital_signature: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
