"""SOAP envelopes, and the login call.

Login is served up to API version 64 and refused above, as its retirement has it
(facts/salesforce.md §1.2). Public clients read the answer with regular expressions: element names
carry no prefix, a fault's code is ``sf:exceptionCode`` (facts/wire.md 30).
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from lxml import etree

from bounce_sync.sandbox.salesforce.http import XML, Answer, Call, Routes
from bounce_sync.sandbox.salesforce.oauth import Refused, check_password
from bounce_sync.sandbox.salesforce.service import LAST_VERSION, report

if TYPE_CHECKING:
    from bounce_sync.sandbox.salesforce.service import Service

routes = Routes()

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
LAST_LOGIN_VERSION = 64
_XSI = "http://www.w3.org/2001/XMLSchema-instance"


class SoapFault(Exception):
    """Ends a SOAP call: HTTP 500 with a fault."""

    def __init__(self, code: str, message: str, namespace: str) -> None:
        super().__init__(message)
        self.answer = fault(code, message, namespace)


def fault(code: str, message: str, namespace: str) -> Answer:
    """A fault in the service's layout."""
    text = escape(message)
    return Answer(
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<soapenv:Envelope xmlns:soapenv="{ENVELOPE}" xmlns:sf="{namespace}" xmlns:xsi="{_XSI}">'
        f"<soapenv:Body><soapenv:Fault><faultcode>sf:{code}</faultcode>"
        f"<faultstring>{code}: {text}</faultstring>"
        f'<detail><sf:{_kind(code)} xsi:type="sf:{_kind(code)}">'
        f"<sf:exceptionCode>{code}</sf:exceptionCode>"
        f"<sf:exceptionMessage>{text}</sf:exceptionMessage>"
        f"</sf:{_kind(code)}></detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>",
        500,
        media=XML,
    )


def _kind(code: str) -> str:
    return "LoginFault" if code == "INVALID_LOGIN" else "UnexpectedErrorFault"


def envelope(body: str, namespace: str) -> Answer:
    """An answer whose elements are in the default namespace, without a prefix."""
    return Answer(
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<soapenv:Envelope xmlns:soapenv="{ENVELOPE}" xmlns="{namespace}" xmlns:xsi="{_XSI}">'
        f"<soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>",
        media=XML,
    )


def operation(call: Call, namespace: str) -> etree._Element:
    """The element of the body that names the operation.

    Raises:
        SoapFault: the request isn't an envelope, or carries entities.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(call.body, parser)
    except etree.XMLSyntaxError as error:
        raise SoapFault("INVALID_SOAP", f"no SOAP envelope: {error}", namespace) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise SoapFault("INVALID_SOAP", "a DTD isn't allowed", namespace)
    body = root.find(f"{{{ENVELOPE}}}Body")
    found = (
        next((child for child in body if isinstance(child.tag, str)), None)
        if (body is not None)
        else None
    )
    if found is None:
        raise SoapFault("INVALID_SOAP", "the envelope has no operation", namespace)
    return found


def texts(element: etree._Element, name: str) -> list[str]:
    """Texts of the direct children of a name, whatever their namespace."""
    return [
        (child.text or "").strip()
        for child in element
        if isinstance(child.tag, str) and etree.QName(child).localname == name
    ]


def text(element: etree._Element, name: str, default: str = "") -> str:
    """The text of the first such child."""
    return next(iter(texts(element, name)), default)


def session_header(call: Call) -> str:
    """The session id of the envelope's header, empty where there is none."""
    try:
        root = etree.fromstring(call.body, etree.XMLParser(resolve_entities=False))
    except etree.XMLSyntaxError:
        return ""
    return next(
        (
            (element.text or "").strip()
            for element in root.iter(etree.Element)
            if etree.QName(element).localname == "sessionId"
        ),
        "",
    )


@routes("POST", "/services/Soap/{flavour}/{version}", open=True)
def login(service: Service, call: Call, flavour: str, version: str) -> Answer:
    return _login(service, call, flavour, version)


@routes("POST", "/services/Soap/{flavour}/{version}/{org}", open=True)
def login_of_org(service: Service, call: Call, flavour: str, version: str, org: str) -> Answer:
    del org
    return _login(service, call, flavour, version)


def _login(service: Service, call: Call, flavour: str, version: str) -> Answer:
    names = {"u": "urn:fault.partner.soap.sforce.com", "c": "urn:fault.enterprise.soap.sforce.com"}
    namespace = names.get(flavour.lower(), names["u"])
    try:
        asked = operation(call, namespace)
        name = etree.QName(asked).localname
        if name == "logout":
            service.sessions.end(session_header(call))
            return envelope("<logoutResponse/>", names.get(flavour.lower(), names["u"]))
        if name != "login":
            report(call, f"SOAP operation {name}")
            raise SoapFault("INVALID_OPERATION", f"{name}() isn't served; use REST", namespace)
        _check_login(service, version, namespace)
        user_id = check_password(service, text(asked, "username"), text(asked, "password"))
    except Refused:
        return fault(
            "INVALID_LOGIN",
            "Invalid username, password, security token; or user locked out.",
            namespace,
        )
    except SoapFault as refused:
        return refused.answer
    return _logged_in(service, flavour.lower(), version, user_id)


def _check_login(service: Service, version: str, namespace: str) -> None:
    try:
        number = float(version)
    except ValueError:
        number = 0.0
    if not 1 <= number <= LAST_VERSION:
        raise SoapFault("UNSUPPORTED_API_VERSION", f"Invalid Api version: {version}", namespace)
    if number > LAST_LOGIN_VERSION:
        raise SoapFault(
            "UNSUPPORTED_API_VERSION",
            f"SOAP API login() isn't available in API version {version}. Use OAuth.",
            namespace,
        )
    if service.store.setting("soap_login", "true") != "true":
        raise SoapFault(
            "INVALID_OPERATION", "SOAP API login() is disabled by default in this org.", namespace
        )


def _logged_in(service: Service, flavour: str, version: str, user_id: str) -> Answer:
    session = service.sessions.issue(user_id)
    org = service.store.setting("organization_id")
    base = f"{service.base_url}/services/Soap"
    user = {name: escape(value) for name, value in service.user(user_id).items()}
    namespace = {"c": "urn:enterprise.soap.sforce.com"}.get(flavour, "urn:partner.soap.sforce.com")
    seconds = round(session.expires - session.issued)
    return envelope(
        "<loginResponse><result>"
        f"<metadataServerUrl>{base}/m/{version}/{org}</metadataServerUrl>"
        "<passwordExpired>false</passwordExpired><sandbox>false</sandbox>"
        f"<serverUrl>{base}/{flavour}/{version}/{org}</serverUrl>"
        f"<sessionId>{session.token}</sessionId><userId>{user_id}</userId><userInfo>"
        f"<organizationId>{org}</organizationId>"
        "<organizationName>Bounce Sync Sandbox</organizationName>"
        f"<sessionSecondsValid>{seconds}</sessionSecondsValid>"
        f"<userEmail>{user.get('Email', '')}</userEmail>"
        f"<userFullName>{user.get('Name', '')}</userFullName><userId>{user_id}</userId>"
        f"<userName>{user.get('Username', '')}</userName>"
        f"<userTimeZone>{user.get('TimeZoneSidKey', 'UTC')}</userTimeZone>"
        "<userType>Standard</userType></userInfo></result></loginResponse>",
        namespace,
    )
