"""TLS for real: a server with a certificate that the test made, and clients that believe it or not."""

from __future__ import annotations

import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from scidb import BaseVariable
from scidb.exceptions import NetworkError
from scidb.store.memory import MemoryStore
from scidb.store.model import SchemaKey
from scidbnet.auth import TokenFile
from scidbnet.client import HttpStore, RemoteDatabaseManager
from scidbnet.server import store_app
from scidbnet.server.guard.exposure import check_certificate, check_exposure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="there is no openssl to make a certificate with")


class SafeForce(BaseVariable):
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a certificate of this machine and its key."""
    path: Path = tmp_path_factory.mktemp("tls")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost"
    extensions = ["subjectAltName=IP:127.0.0.1,DNS:localhost", "keyUsage=critical,digitalSignature,keyCertSign"]
    subprocess.run(
        [
            *(str(OPENSSL), *words.split(), "-keyout", str(path / "lab.key"), "-out", str(path / "lab.pem")),
            *(word for extension in extensions for word in ("-addext", extension)),
        ],
        check=True,
        capture_output=True,
    )
    return path


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Return where a server with that certificate answers."""
    certificate: dict[str, Any] = {"certfile": folder / "lab.pem", "keyfile": folder / "lab.key"}
    check_certificate(**certificate)
    tokens = TokenFile.beside(folder / "study.duckdb")
    tokens.create("root", "admin", "1d")
    scheme = check_exposure("0.0.0.0", has_tokens=tokens.has_valid(), **certificate).scheme
    config = uvicorn.Config(
        store_app(MemoryStore([SchemaKey("subject", "int")]), tokens=tokens),
        port=0,
        log_level="warning",
        access_log=False,
        ssl_certfile=certificate["certfile"],
        ssl_keyfile=str(certificate["keyfile"]),
    )
    server = uvicorn.Server(config)
    sock = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    yield f"{scheme}://127.0.0.1:{sock.getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("variable", ["SCIDB_CA_FILE", "SSL_CERT_FILE"])
def test_a_certificate_that_is_known(
    address: str, folder: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the certificate named, tokens and data go over TLS."""
    token = TokenFile.beside(folder / "study.duckdb").create("anna", "writer", "1d").token
    monkeypatch.setenv(variable, str(folder / "lab.pem"))

    with RemoteDatabaseManager(HttpStore.open(address, token=token)) as db:
        SafeForce.save(1.0, subject=1, db=db)
        assert SafeForce.load_one(subject=1, db=db).data == 1.0


def test_a_certificate_that_nobody_vouches_for(address: str) -> None:
    """An unknown certificate is refused before anything is sent, at once, and the error says what to do."""
    with pytest.raises(NetworkError, match="SCIDB_CA_FILE") as caught:
        HttpStore.open(address, token="scidb_secret")
    assert caught.value.code == "certificate"
