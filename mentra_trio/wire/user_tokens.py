"""Signed user tokens: by which a page of an app learns who looks at it (protocol.md 1.4, 1.6).

They are RS256: whoever has the public key can check them, app servers and browsers alike. The
time is passed in: the JWT library never looks at a clock.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ..domain.apps import AppRegistration
from ..domain.errors import ConfigError
from ..domain.ids import UserId

ALGORITHM: Final = "RS256"
KEY_ID: Final = "v1"
ISSUER: Final = "https://prod.augmentos.cloud"
"""The only one that the SDK accepts, whoever signs (protocol.md 1.4)."""
LASTS_S: Final = 600
"""How long a signed user token is good (protocol.md 1.6)."""
KEY_BITS: Final = 2_048
"""RFC 7518 3.3 wants no fewer; the SDK's own key has as many."""


def make_key_pem() -> str:
    """A new private key, as PEM. Takes some tenths of a second."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=KEY_BITS)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.decode("ascii")


def read_key(pem: str) -> rsa.RSAPrivateKey:
    """The private key in ``pem``; line ends may be written as ``\\\\n``, as in environment files.

    Raises:
        ConfigError: it is no RSA key, has a passphrase, or fewer than 2,048 bits. The text says
            what is wrong after a subject, and holds nothing of the key.
    """
    try:
        text = pem.replace("\\n", "\n").encode("ascii")
        key = serialization.load_pem_private_key(text, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a passphrase
        raise ConfigError("is not a private key in PEM without a passphrase") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < KEY_BITS:
        raise ConfigError(f"is not an RSA key of {KEY_BITS:,} bits or more")
    return key


def public_pem(key: rsa.RSAPrivateKey) -> str:
    """What app authors give the SDK, as MENTRAOS_CLOUD_USER_TOKEN_PUBLIC_KEY."""
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem.decode("ascii").strip()


def key_set(key: rsa.RSAPrivateKey) -> dict[str, Any]:
    """The public key as a JSON Web Key Set (RFC 7517)."""
    one = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {"keys": [{**one, "kid": KEY_ID, "alg": ALGORITHM, "use": "sig"}]}


def mint_user_token(
    user: UserId, app: AppRegistration, key: rsa.RSAPrivateKey, *, now: datetime
) -> str:
    """A token that says to ``app`` that its page is looked at by ``user``; good for 10 minutes.

    The SDK looks at the issuer, the subject and the time. ``aud`` is for those who look closer:
    a token that was made for one app is not for another one.
    """
    issued = int(now.timestamp())
    claims = {
        "iss": ISSUER,
        "sub": user,
        "aud": app.package,
        "iat": issued,
        "exp": issued + LASTS_S,
        "frontendToken": front_end_token(user, app),
    }
    return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": KEY_ID})


def front_end_token(user: UserId, app: AppRegistration) -> str:
    """What the app's own page shows to the app's own server, to say who the user is."""
    return f"{user}:{hash_with_key(user, app)}"


def hash_with_key(text: str, app: AppRegistration) -> str:
    """SHA-256 of ``text`` and the hash of the app's API key, in hex (protocol.md 1.4).

    Whoever has such a hash of a text can make the app's server believe that text.
    """
    return hashlib.sha256(
        text.encode("utf-8", "surrogatepass") + app.key_hash.encode("ascii")
    ).hexdigest()
