"""Who the user is, which versions there are, and where things stand."""

from __future__ import annotations

from bounce_sync.sandbox.salesforce.http import DATA, Answer, Call, Routes
from bounce_sync.sandbox.salesforce.service import FIRST_VERSION, LAST_VERSION, Service
from bounce_sync.sandbox.salesforce.sessions import Session

routes = Routes()


def identity_url(service: Service, user_id: str) -> str:
    """A user's identity URL: clients read organisation and user from its last two parts."""
    return f"{service.base_url}/id/{service.store.setting('organization_id')}/{user_id}"


@routes("GET", "/services/oauth2/userinfo")
def userinfo(service: Service, call: Call) -> Answer:
    session = call.user
    user = service.user(session.user_id)
    return Answer(
        {
            "sub": identity_url(service, session.user_id),
            "user_id": session.user_id,
            "organization_id": service.store.setting("organization_id"),
            "preferred_username": user.get("Username", ""),
            "nickname": user.get("Alias", ""),
            "name": user.get("Name", ""),
            "email": user.get("Email", ""),
            "email_verified": True,
            "given_name": user.get("FirstName", ""),
            "family_name": user.get("LastName", ""),
            "zoneinfo": user.get("TimeZoneSidKey", "UTC"),
            "profile": f"{service.base_url}/{session.user_id}",
            "user_type": "STANDARD",
            "active": True,
            "locale": user.get("LocaleSidKey", "en_US"),
            "language": "en_US",
            "utcOffset": 0,
            "urls": _urls(service, session),
            "is_app_installed": True,
        }
    )


@routes("POST", "/services/oauth2/userinfo")
def userinfo_by_post(service: Service, call: Call) -> Answer:
    return userinfo(service, call)


@routes("GET", "/id/{org}/{user}")
def identity(service: Service, call: Call, org: str, user: str) -> Answer:
    del org, user
    session = call.user
    found = service.user(session.user_id)
    return Answer(
        {
            "id": identity_url(service, session.user_id),
            "asserted_user": True,
            "user_id": session.user_id,
            "organization_id": service.store.setting("organization_id"),
            "username": found.get("Username", ""),
            "nick_name": found.get("Alias", ""),
            "display_name": found.get("Name", ""),
            "email": found.get("Email", ""),
            "email_verified": True,
            "first_name": found.get("FirstName", ""),
            "last_name": found.get("LastName", ""),
            "timezone": found.get("TimeZoneSidKey", "UTC"),
            "active": True,
            "user_type": "STANDARD",
            "language": "en_US",
            "locale": found.get("LocaleSidKey", "en_US"),
            "utcOffset": 0,
            "urls": _urls(service, session),
            "is_app_installed": True,
        }
    )


def _urls(service: Service, session: Session) -> dict[str, str]:
    base, org = service.base_url, service.store.setting("organization_id")
    return {
        "enterprise": f"{base}/services/Soap/c/{{version}}/{org}",
        "metadata": f"{base}/services/Soap/m/{{version}}/{org}",
        "partner": f"{base}/services/Soap/u/{{version}}/{org}",
        "rest": f"{base}/services/data/v{{version}}/",
        "sobjects": f"{base}/services/data/v{{version}}/sobjects/",
        "search": f"{base}/services/data/v{{version}}/search/",
        "query": f"{base}/services/data/v{{version}}/query/",
        "tooling_rest": f"{base}/services/data/v{{version}}/tooling/",
        "profile": f"{base}/{session.user_id}",
        "custom_domain": base,
    }


_SEASONS = ("Winter", "Spring", "Summer")  # v59 is Winter '24


@routes("GET", "/services/data", open=True)
def versions(_: Service, __: Call) -> Answer:
    return Answer(
        [
            {
                "label": f"{_SEASONS[(number - 59) % 3]} '{24 + (number - 59) // 3}",
                "url": f"/services/data/v{number}.0",
                "version": f"{number}.0",
            }
            for number in range(FIRST_VERSION, LAST_VERSION + 1)
        ]
    )


@routes("GET", DATA)
def resources(service: Service, call: Call) -> Answer:
    base = f"/services/data/v{call.version}"
    names = ("sobjects", "query", "queryAll", "limits", "composite", "jobs", "tooling")
    return Answer(
        {
            **{name: f"{base}/{name}" for name in names},
            "identity": identity_url(service, call.user.user_id),
        }
    )
