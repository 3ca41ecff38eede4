"""The issuer of tokens that the key set verifies: its URLs, and the `iss` and `aud` it puts into tokens."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Issuer:
    """A Better Auth whose key set is trusted.

    Attributes:
        variable: the environment variable that names it.
        jwks_url: the URL of its key set.
        issuer: the expected `iss`, without a trailing slash.
        issuer_name: the same in words, for messages.
        audiences: the accepted values of `aud`, each without a trailing slash.
        audience_name: the same in words.
        needs_audience: whether a token without `aud` is rejected.
    """

    variable: str
    jwks_url: str
    issuer: str
    issuer_name: str
    audiences: tuple[str, ...]
    audience_name: str
    needs_audience: bool = True

    @classmethod
    def better_auth(
        cls, url: str, jwks_url: str | None = None, issuer: str | None = None, audience: str | None = None
    ) -> Self:
        """Read BETTER_AUTH_URL as Better Auth does: one without a path is mounted at `/api/auth`.

        `iss` and `aud` are its origin, to which Better Auth cuts `baseURL` down (seen with 1.7.25).

        Args:
            url: BETTER_AUTH_URL.
            jwks_url, issuer, audience: of a jwt plugin with `jwks.jwksPath`, `jwt.issuer`, `jwt.audience`.
        """
        url = without_slash(url)
        mounted_at = url if urlsplit(url).path else f"{url}/api/auth"
        return cls(
            variable="BETTER_AUTH_URL",
            jwks_url=jwks_url or f"{mounted_at}/jwks",
            issuer=without_slash(issuer or origin(url)),
            issuer_name="BETTER_AUTH_ISSUER" if issuer else "the origin of BETTER_AUTH_URL",
            audiences=(without_slash(audience or origin(url)),),
            audience_name="BETTER_AUTH_AUDIENCE" if audience else "the origin of BETTER_AUTH_URL",
        )

    @classmethod
    def neon_auth(cls, url: str) -> Self:
        """Read NEON_AUTH_BASE_URL: a Better Auth whose key set has another path, and which may leave `aud` out."""
        url = without_slash(url)
        return cls(
            variable="NEON_AUTH_BASE_URL",
            jwks_url=f"{url}/.well-known/jwks.json",
            issuer=origin(url),
            issuer_name="the origin of NEON_AUTH_BASE_URL",
            audiences=(origin(url), url),
            audience_name="NEON_AUTH_BASE_URL or its origin",
            needs_audience=False,
        )


def without_slash(url: str) -> str:
    """Return a URL in the form in which issuers and audiences are compared."""
    return url.rstrip("/")


def origin(url: str) -> str:
    """Return the origin of an http or https URL as JavaScript's `new URL(url).origin` does.

    Scheme and host in lower case, no default port.
    """
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else str(parts.hostname)
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"
