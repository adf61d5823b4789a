"""Who may come in, and how a token ends."""

from __future__ import annotations

import base64
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bounce_sync_tests.sandbox_salesforce.org import Org

SOAP_LOGIN = (
    '<?xml version="1.0"?><se:Envelope xmlns:se="http://schemas.xmlsoap.org/soap/envelope/">'
    '<se:Body><login xmlns="urn:partner.soap.sforce.com"><username>{user}</username>'
    "<password>{password}</password></login></se:Body></se:Envelope>"
)
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def assertion(org: Org, **claims: object) -> str:
    return jwt.encode(
        {
            "iss": org.store.setting("client_id"),
            "sub": org.store.setting("username"),
            "aud": org.url,
            "exp": int(time.time()) + 180,
        }
        | claims,
        KEY,
        algorithm="RS256",
    )


def soap_login(org: Org, version: str, password: str | None = None) -> object:
    body = SOAP_LOGIN.format(
        user=org.store.setting("username"), password=password or org.store.setting("password")
    )
    return org.session.post(
        f"{org.url}/services/Soap/u/{version}",
        data=body,
        headers={"Content-Type": "text/xml", "SOAPAction": '""'},
    )


def works(org: Org, token: str) -> bool:
    said = org.ask("GET", "limits", headers={"Authorization": f"Bearer {token}"})
    return said.status_code == 200


def test_client_credentials_in_the_form(anonymous: Org) -> None:
    said = anonymous.token().json()
    assert works(anonymous, said["access_token"])
    assert said["instance_url"] == anonymous.url
    org_id, user_id = said["id"].split("/")[-2:]
    assert (len(org_id), org_id[:3], len(user_id), user_id[:3]) == (18, "00D", 18, "005")
    assert "expires_in" not in said


def test_client_credentials_by_basic_and_in_chunks(anonymous: Org) -> None:
    pair = f"{anonymous.store.setting('client_id')}:{anonymous.store.setting('client_secret')}"
    said = anonymous.session.post(
        f"{anonymous.url}/services/oauth2/token",
        data=iter([b"grant_type=", b"client_credentials"]),  # no Content-Length
        headers={
            "Authorization": "Basic " + base64.b64encode(pair.encode()).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
        },
    )
    assert works(anonymous, said.json()["access_token"])


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": "wrong"}, "invalid_client_id"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "x", "password": "y"}, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
    ],
)
def test_a_wrong_login_says_what_is_wrong(anonymous: Org, form: dict[str, str], error: str) -> None:
    said = anonymous.token(**form)
    assert said.status_code == 400
    assert said.json()["error"] == error
    assert said.json()["error_description"]


def test_password_grant_with_a_security_token_gives_a_refresh_token(anonymous: Org) -> None:
    setting = anonymous.store.setting
    said = anonymous.token(
        grant_type="password", username=setting("username"), password=setting("password") + "SeCuR"
    ).json()
    again = anonymous.token(grant_type="refresh_token", refresh_token=said["refresh_token"])
    assert works(anonymous, said["access_token"])
    assert works(anonymous, again.json()["access_token"])


JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def test_jwt_bearer(anonymous: Org) -> None:
    said = anonymous.token(grant_type=JWT_GRANT, assertion=assertion(anonymous))
    assert works(anonymous, said.json()["access_token"])


def test_jwt_bearer_takes_the_expiry_as_text(anonymous: Org) -> None:
    given = assertion(anonymous, exp=str(int(time.time()) + 60))
    assert anonymous.token(grant_type=JWT_GRANT, assertion=given).status_code == 200


@pytest.mark.parametrize(
    ("claims", "description"),
    [
        ({"exp": 1}, "assertion expired"),
        ({"sub": "nobody@example.com"}, "user hasn't approved this consumer"),
        ({"aud": "https://elsewhere.example"}, "audience is invalid"),
    ],
)
def test_jwt_bearer_refusals(anonymous: Org, claims: dict[str, object], description: str) -> None:
    said = anonymous.token(grant_type=JWT_GRANT, assertion=assertion(anonymous, **claims))
    assert said.status_code == 400
    assert said.json() == {"error": "invalid_grant", "error_description": description}


def test_jwt_bearer_checks_the_signature_where_the_org_has_the_key(anonymous: Org) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    forms = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    given = assertion(anonymous)
    anonymous.store.set_setting("jwt_public_key", other.public_bytes(*forms).decode())
    assert anonymous.token(grant_type=JWT_GRANT, assertion=given).status_code == 400
    anonymous.store.set_setting("jwt_public_key", KEY.public_key().public_bytes(*forms).decode())
    assert anonymous.token(grant_type=JWT_GRANT, assertion=given).status_code == 200


def test_an_expired_token_answers_exactly_as_clients_expect(anonymous: Org) -> None:
    anonymous.store.set_setting("session_seconds", "0")
    anonymous.login()
    said = anonymous.ask("GET", "limits")
    assert said.status_code == 401
    assert said.json() == [
        {"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}
    ]


def test_a_new_token_leaves_the_old_one_alive(anonymous: Org) -> None:
    first = anonymous.token().json()["access_token"]
    anonymous.token()
    assert works(anonymous, first)


def test_introspect_and_revoke(anonymous: Org) -> None:
    token = anonymous.token().json()["access_token"]
    setting = anonymous.store.setting
    basic = (setting("client_id"), setting("client_secret"))
    url = f"{anonymous.url}/services/oauth2"
    said = anonymous.session.post(f"{url}/introspect", data={"token": token}, auth=basic).json()
    assert said["active"] is True
    assert said["exp"] > time.time()
    anonymous.session.post(f"{url}/revoke", data={"token": token})
    said = anonymous.session.post(f"{url}/introspect", data={"token": token}, auth=basic).json()
    assert said == {"active": False}
    assert not works(anonymous, token)


def test_userinfo_and_identity(org: Org) -> None:
    info = org.ask("GET", "/services/oauth2/userinfo").json()
    assert info["user_id"] == org.user_id
    assert info["organization_id"] == org.store.setting("organization_id")
    assert info["zoneinfo"] == "UTC"
    token = org.session.headers.pop("Authorization").split()[1]
    url = org.token().json()["id"]
    said = org.session.get(url, params={"format": "json", "oauth_token": token})
    assert said.json()["username"] == org.store.setting("username")


def test_versions_need_no_login_and_show_no_limits(anonymous: Org) -> None:
    said = anonymous.ask("GET", "/services/data/")
    by_version = {one["version"]: one for one in said.json()}
    assert by_version["62.0"]["url"] == "/services/data/v62.0"
    assert by_version["59.0"]["label"] == "Winter '24"
    assert by_version["64.0"]["label"] == "Summer '25"
    assert "Sforce-Limit-Info" not in said.headers


@pytest.mark.parametrize(("version", "status"), [("30.0", 410), ("99.0", 404), ("50.0", 200)])
def test_dead_and_unknown_versions(org: Org, version: str, status: int) -> None:
    assert org.ask("GET", f"/services/data/v{version}/limits").status_code == status


def test_soap_login_up_to_version_64(anonymous: Org) -> None:
    said = soap_login(anonymous, "64.0")
    assert said.status_code == 200
    token = said.text.split("<sessionId>")[1].split("</sessionId>")[0]
    assert f"<serverUrl>{anonymous.url}/services/Soap/u/64.0/00D" in said.text
    assert works(anonymous, token)


def test_soap_login_is_retired_above(anonymous: Org) -> None:
    said = soap_login(anonymous, "65.0")
    assert said.status_code == 500
    assert "<sf:exceptionCode>UNSUPPORTED_API_VERSION</sf:exceptionCode>" in said.text


def test_soap_login_with_a_wrong_password(anonymous: Org) -> None:
    said = soap_login(anonymous, "60.0", password="wrong")
    assert said.status_code == 500
    assert "<sf:exceptionCode>INVALID_LOGIN</sf:exceptionCode>" in said.text
    assert "<faultstring>INVALID_LOGIN: " in said.text


def test_soap_refuses_entities(anonymous: Org) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "b">]>' + SOAP_LOGIN.split("?>")[1].format(
        user="&a;", password="p"
    )
    said = anonymous.session.post(f"{anonymous.url}/services/Soap/u/60.0", data=bomb)
    assert said.status_code == 500
    assert "INVALID_SOAP" in said.text
