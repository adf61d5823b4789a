"""SOAP answers: the envelope and its habits as recorded (facts/marketing-cloud.md 4.2, 4.5)."""

import uuid
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

from bounce_sync.sandbox.marketing_cloud.soap.reading import PARTNER_API

XML = "text/xml; charset=utf-8"
_SECURITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_UTILITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
_FAULT_ACTION = f"{_ADDRESSING}/fault"
_UNSPEAKABLE = str.maketrans(dict.fromkeys(set(range(32)) - {0x09, 0x0A, 0x0D}))

_ENVELOPE = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
    f' xmlns:wsa="{_ADDRESSING}" xmlns:wsse="{_SECURITY}" xmlns:wsu="{_UTILITY}">'
    "<soap:Header><wsa:Action>{action}</wsa:Action>"
    "<wsa:MessageID>urn:uuid:{message_id}</wsa:MessageID>"
    "<wsa:RelatesTo>urn:uuid:{relates_to}</wsa:RelatesTo>"
    f"<wsa:To>{_ADDRESSING}/role/anonymous</wsa:To>"
    '<wsse:Security><wsu:Timestamp wsu:Id="Timestamp-{stamp_id}">'
    "<wsu:Created>{created}</wsu:Created><wsu:Expires>{expires}</wsu:Expires>"
    "</wsu:Timestamp></wsse:Security></soap:Header><soap:Body>"
)
_END = "</soap:Body></soap:Envelope>"


def element(name: str, value: object) -> str:
    """One element with escaped text; empty text becomes `<Name />`, as the service writes it."""
    said = xml_text("" if value is None else str(value))
    return f"<{name}>{said}</{name}>" if said else f"<{name} />"


def xml_text(value: str) -> str:
    """Escaped; characters that XML 1.0 can't carry are dropped."""
    return escape(value.translate(_UNSPEAKABLE), {"\r": "&#xD;"})


def message(name: str, *parts: str | bytes, action: str) -> bytes:
    """The whole answer: the partner API element `name` around parts that are XML already."""
    said = [part if isinstance(part, bytes) else part.encode() for part in parts]
    opening = f'{_envelope(action)}<{name} xmlns="{PARTNER_API}">'
    return b"".join([opening.encode(), *said, f"</{name}>{_END}".encode()])


def fault(text: str, actor: str, *, code: str = "Security", detail: str = "") -> bytes:
    """A SOAP fault, sent under HTTP 500; only faults of the server's own carry a `detail`."""
    if code == "Security":
        faultcode = f'<faultcode xmlns:q0="{_SECURITY}">q0:Security</faultcode>'
    else:
        faultcode = f"<faultcode>soap:{code}</faultcode>"
    said = (
        f"<soap:Fault>{faultcode}<faultstring>{xml_text(text)}</faultstring>"
        f"<faultactor>{xml_text(actor)}</faultactor>{detail}</soap:Fault>"
    )
    return (_envelope(_FAULT_ACTION) + said + _END).encode()


def server_fault(text: str, actor: str, number: int) -> bytes:
    """An outage or a throttled call, as the documentation prints it."""
    detail = (
        '<detail><apifault xmlns="urn:fault.partner.exacttarget.com">'
        f"<Code>{number}</Code><Message>{xml_text(text)}</Message></apifault></detail>"
    )
    return fault(text, actor, code="Server", detail=detail)


def new_id() -> str:
    return str(uuid.uuid4())


def _envelope(action: str) -> str:
    now = datetime.now(UTC).replace(microsecond=0, tzinfo=None)
    return _ENVELOPE.format(
        action=action,
        message_id=new_id(),
        relates_to=new_id(),
        stamp_id=new_id(),
        created=f"{now.isoformat()}Z",
        expires=f"{(now + timedelta(minutes=5)).isoformat()}Z",
    )
