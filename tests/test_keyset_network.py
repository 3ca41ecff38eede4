"""Key sets behind TLS, proxies and IPv6, as `check` and the service fetch them."""

import contextlib
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.frontend import require
from tests.test_check_token import Page, Site, check_key_set, says
from todo_backend.cli.token_hints import KEY_SET_HINTS

VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
KEYS = "EdDSA, ES384"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a made-up issuer, which only this machine could know, and a certificate by it."""
    require("openssl", present=shutil.which("openssl") is not None)
    folder = tmp_path_factory.mktemp("issuer")

    def openssl(arguments: str) -> None:
        subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True)

    (folder / "names").write_text("subjectAltName = IP:127.0.0.1, DNS:better-auth.example")
    openssl("req -x509 -nodes -newkey rsa:2048 -keyout issuer.key -out issuer.crt -subj /CN=made-up-issuer")
    openssl("req -nodes -newkey rsa:2048 -keyout site.key -out site.csr -subj /CN=made-up-site")
    openssl("x509 -req -in site.csr -CA issuer.crt -CAkey issuer.key -CAcreateserial -extfile names -out site.crt")
    return folder


@contextlib.contextmanager
def running(site: Site) -> Iterator[Site]:
    site.publish()
    with site:
        threading.Thread(target=site.serve_forever, args=[0.05]).start()
        yield site
        site.shutdown()


class SecureSite(Site):
    """Serves the key set over TLS; with `tunnel` as a proxy through which every https address is this one."""

    def __init__(self, issuer: Path, *, tunnel: bool) -> None:
        super().__init__()
        self.RequestHandlerClass = Tunnel if tunnel else SecurePage
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(issuer / "site.crt", issuer / "site.key")

    def answer(self, connection: socket.socket, client: tuple[str, int]) -> None:
        with contextlib.suppress(OSError), self.context.wrap_socket(connection, server_side=True) as secure:
            Page(secure, client, self)


class SecurePage(socketserver.BaseRequestHandler):
    server: SecureSite

    def handle(self) -> None:
        self.server.answer(self.request, self.client_address)


class Tunnel(Page):
    server: SecureSite

    def do_CONNECT(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.server.answer(self.connection, self.client_address)


@pytest.fixture
def site() -> Iterator[Site]:
    with running(Site()) as site:
        yield site


@pytest.fixture
def secure(issuer: Path) -> Iterator[Site]:
    with running(SecureSite(issuer, tunnel=False)) as site:
        site.url = site.url.replace("http:", "https:")
        yield site


@pytest.fixture
def store(issuer: Path, tmp_path: Path) -> Path:
    """A store of certificates that has the issuer as Debian adds one to the system's."""
    program = shutil.which("update-ca-certificates", path="/usr/sbin:/usr/bin")
    require("update-ca-certificates", present=program is not None)
    folders = {name: tmp_path / name for name in ("certsdir", "localcertsdir", "etccertsdir", "hooksdir")}
    for folder in folders.values():
        folder.mkdir()
    shutil.copy(issuer / "issuer.crt", folders["localcertsdir"])
    options = [word for name, folder in folders.items() for word in (f"--{name}", str(folder))]
    subprocess.run([str(program), "--certsconf", "/dev/null", *options], check=True, capture_output=True)
    return folders["etccertsdir"]


@pytest.mark.proves("BA-3", "BA-6")
@pytest.mark.parametrize(("variable", "path"), [("SSL_CERT_FILE", "ca-certificates.crt"), ("SSL_CERT_DIR", "")])
def test_the_certificates_are_the_systems(
    tmp_path: Path, secure: Site, store: Path, monkeypatch: pytest.MonkeyPatch, variable: str, path: str
) -> None:
    reason, refused = check_key_set(tmp_path, secure.url)
    assert "certificate verify failed: unable to get local issuer certificate" in reason
    assert says(refused, KEY_SET_HINTS["certificate"])
    monkeypatch.setenv(variable, str(store / path))
    assert check_key_set(tmp_path, secure.url)[0] == f"ok {secure.url}/api/auth/jwks: {KEYS}"


@pytest.mark.proves("BA-6")
def test_a_certificate_of_another_host_is_told(
    tmp_path: Path, secure: Site, issuer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(issuer / "issuer.crt"))
    reason, refused = check_key_set(tmp_path, secure.url.replace("127.0.0.1", "localhost"))
    assert "Hostname mismatch, certificate is not valid for 'localhost'" in reason
    assert says(refused, KEY_SET_HINTS["certificate"])
    assert "If the certificate is for another host: set BETTER_AUTH_URL in .env" in refused.stdout


@pytest.mark.proves("BA-6")
@pytest.mark.parametrize("value", ["/nowhere", "/", __file__])
def test_a_bad_file_of_certificates_is_told(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """Also where the key set is not behind TLS."""
    monkeypatch.setenv("SSL_CERT_FILE", value)
    reason, refused = check_key_set(tmp_path, site.url)
    assert reason.startswith("SSL_CERT_FILE cannot be used: ")
    assert says(refused, KEY_SET_HINTS["certificates"])
    monkeypatch.delenv("SSL_CERT_FILE")
    assert check_key_set(tmp_path, site.url)[0].startswith("ok ")


@pytest.mark.proves("BA-3", "BA-6")
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_leads_to_the_key_set(
    tmp_path: Path, issuer: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Better Auth's name is not known here."""
    monkeypatch.setenv("SSL_CERT_FILE", str(issuer / "issuer.crt"))
    with running(SecureSite(issuer, tunnel=True)) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        for scheme in ("https", "http") if variable == "ALL_PROXY" else ("https",):
            url = f"{scheme}://better-auth.example"
            proxy.answers[f"{url}/api/auth/jwks"] = proxy.answers["/api/auth/jwks"]
            assert check_key_set(tmp_path, url)[0] == f"ok {url}/api/auth/jwks: {KEYS}"
    reason, refused = check_key_set(tmp_path, "https://better-auth.example")
    assert reason.endswith("All connection attempts failed")
    assert says(refused, KEY_SET_HINTS["proxy"])
    assert says(refused, KEY_SET_HINTS["unreachable"])
    monkeypatch.setenv("NO_PROXY", "better-auth.example")
    reason, refused = check_key_set(tmp_path, "https://better-auth.example")
    assert "Name or service not known" in reason or "Temporary failure" in reason
    assert not says(refused, KEY_SET_HINTS["proxy"])


@pytest.mark.proves("BA-6")
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1"),
        ("all_proxy", "socks://127.0.0.1:1"),
        ("HTTPS_PROXY", "http://me:made-up-password/1@proxy.example"),
        ("HTTP_PROXY", "http://[::1"),
        ("HTTP_PROXY", "ftp://proxy.example"),
        ("HTTP_PROXY", "http://127.0.0.1:99999"),
        ("NO_PROXY", "xn--mnchen-3ya.example"),  # findings/httpx2-no-proxy-punycode.sh
    ],
)
def test_a_proxy_that_cannot_be_used_is_told(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """Though the key set be reached without it. `NO_PROXY` for its host alone would not do."""
    monkeypatch.setenv(variable, value)
    reason, refused = check_key_set(tmp_path, site.url)
    assert reason == "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY or NO_PROXY cannot be used"
    assert says(refused, KEY_SET_HINTS["proxies"])
    assert "made-up-password" not in refused.stdout
    monkeypatch.setenv("NO_PROXY", "*")
    assert check_key_set(tmp_path, site.url)[0].startswith("ok ")


class SiteOnIPv6(Site):
    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        self.server_address = ("::1", 0)
        super().server_bind()


@pytest.mark.proves("BA-3", "BA-6")
def test_an_ipv6_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require("IPv6", present=socket.has_ipv6 and Path("/proc/net/if_inet6").exists())
    with running(SiteOnIPv6()) as site:
        url = f"http://[::1]:{site.server_port}"
        assert check_key_set(tmp_path, url)[0] == f"ok {url}/api/auth/jwks: {KEYS}"
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        refused = check_key_set(tmp_path, url)[1]
        assert "NO_PROXY=::1\n" in refused.stdout
        monkeypatch.setenv("NO_PROXY", "::1")
        assert check_key_set(tmp_path, url)[0].startswith("ok ")
