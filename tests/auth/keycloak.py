"""A real Keycloak: started from its own zip, told of a realm and its clients over its administration interface."""

import os
import subprocess
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2

from deploy.local import ports
from tests.support import until
from tests.tools import KEYCLOAK

REALM = "headrace"
SETTINGS = {
    "KC_BOOTSTRAP_ADMIN_USERNAME": "admin",
    "KC_BOOTSTRAP_ADMIN_PASSWORD": "admin",
    "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1",  # it lives a minute: compiling well does not pay
}
SCOPES = ("jobs:read", "models:read")


class Keycloak:
    """A realm on a running server."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.issuer = f"{url}/realms/{REALM}"
        self._http = httpx2.Client(trust_env=False, timeout=60)
        self._key, self._until = "", 0.0

    def set_up(self, audience: str, tenant: str) -> None:
        """A realm with scopes of ours, a client `app` that follows RFC 9068, and one, `plain`, that does not."""
        self._admin("POST", "", json={"realm": REALM, "enabled": True})
        for scope in SCOPES:
            attributes = {"include.in.token.scope": "true"}
            wanted = {"name": scope, "protocol": "openid-connect", "attributes": attributes}
            self._admin("POST", f"/{REALM}/client-scopes", json=wanted)
        for client, rfc_9068 in (("app", "true"), ("plain", "false")):
            mappers = [
                _mapper("audience", "oidc-audience-mapper", {"included.custom.audience": audience}),
                _mapper("tenant", "oidc-hardcoded-claim-mapper", {"claim.name": "tenant", "claim.value": tenant}),
            ]
            self._admin(
                "POST",
                f"/{REALM}/clients",
                json={
                    "clientId": client,
                    "secret": client,
                    "serviceAccountsEnabled": True,
                    "standardFlowEnabled": False,
                    "attributes": {"access.token.header.type.rfc9068": rfc_9068},
                    "protocolMappers": mappers,
                    "optionalClientScopes": list(SCOPES),
                },
            )

    def token(self, client: str, scope: str = "") -> str:
        """An access token by client credentials."""
        wanted = {"scope": scope} if scope else {}
        return self._token(REALM, grant_type="client_credentials", client_id=client, client_secret=client, **wanted)

    def rotate(self) -> None:
        """A new key that signs from now on; the old ones go on being published."""
        realm = self._admin("GET", f"/{REALM}").json()
        config = {"priority": ["200"], "enabled": ["true"], "active": ["true"], "algorithm": ["RS256"]}
        self._component({"name": "newer", "providerId": "rsa-generated", "parentId": realm["id"], "config": config})

    def withdraw_old_keys(self) -> None:
        """From now on only the newest key is published."""
        for found in self._admin("GET", f"/{REALM}/components", params={"type": _KEYS}).json():
            if found["providerId"] == "rsa-generated" and found["name"] != "newer":
                self._admin("DELETE", f"/{REALM}/components/{found['id']}")

    def close(self) -> None:
        self._http.close()

    def _component(self, wanted: dict[str, Any]) -> None:
        self._admin("POST", f"/{REALM}/components", json=wanted | {"providerType": _KEYS})

    def _admin(self, method: str, path: str, **more: Any) -> httpx2.Response:
        if time.monotonic() > self._until:  # one costs a second: it is for a slow password hash
            login = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": "admin"}
            self._key, self._until = self._token("master", **login), time.monotonic() + 30
        headers = {"authorization": f"Bearer {self._key}"}
        answer = self._http.request(method, f"{self.url}/admin/realms{path}", headers=headers, **more)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def _token(self, realm: str, **form: str) -> str:
        answer = self._http.post(f"{self.url}/realms/{realm}/protocol/openid-connect/token", data=form)
        assert answer.is_success, answer.text
        return str(answer.json()["access_token"])


_KEYS = "org.keycloak.keys.KeyProvider"


def _mapper(name: str, kind: str, config: dict[str, str]) -> dict[str, Any]:
    told = {"access.token.claim": "true", "jsonType.label": "String"}
    return {"name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": told | config}


@contextmanager
def running(folder: Path) -> Iterator[tuple[Keycloak, subprocess.Popen[bytes]]]:
    """A server with an empty realm, until the block ends."""
    with zipfile.ZipFile(KEYCLOAK) as packed:
        packed.extractall(folder)
    (home,) = folder.iterdir()
    port, management = ports.free(2)
    argv = ["sh", str(home / "bin" / "kc.sh"), "start-dev", "--db", "dev-mem", "--http-host", "127.0.0.1"]
    argv += ["--http-port", str(port), "--http-management-port", str(management)]
    said = folder / "said.txt"
    with said.open("wb") as output:
        child = subprocess.Popen(
            argv, env=os.environ | SETTINGS, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    server = Keycloak(f"http://127.0.0.1:{port}")

    def up() -> bool:
        assert child.poll() is None, said.read_text()[-2000:]
        try:
            return httpx2.get(f"{server.url}/realms/master", trust_env=False).is_success
        except httpx2.TransportError:
            return False

    try:
        until(up, 180, "Keycloak up")
        yield server, child
    finally:
        server.close()
        with suppress(ProcessLookupError):
            os.killpg(child.pid, 9)
        child.wait()
