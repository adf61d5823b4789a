"""Asks the sandbox's Marketing Cloud over HTTP, the way a client without a library would."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
import uvicorn
from lxml import etree
from starlette.types import ASGIApp, Receive, Scope, Send

from bounce_sync.sandbox.faults import Faults, FaultyWire
from bounce_sync.sandbox.marketing_cloud.app import application
from bounce_sync.sandbox.store import Store

NAMESPACE = "http://exacttarget.com/wsdl/partnerAPI"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
ENVELOPE = """<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <Header><fueloauth xmlns="http://exacttarget.com">{token}</fueloauth></Header>
 <Body>{body}</Body></Envelope>"""


@dataclass
class Page:
    """One Retrieve answer: rows as {path: text}, in the order of the elements."""

    status: str
    request_id: str
    rows: list[dict[str, str | None]]
    xml: etree._Element
    response: requests.Response


@dataclass
class Service:
    url: str
    store: Store
    session: requests.Session = field(default_factory=requests.Session)

    def token(self, mid: int | None = None, **more: object) -> str:
        asked = {"account_id": mid, **more} if mid is not None else more
        said = self.ask_token(**asked)
        assert said.status_code == 200, said.text
        return said.json()["access_token"]

    def ask_token(self, **asked: object) -> requests.Response:
        body = {
            "grant_type": "client_credentials",
            "client_id": self.store.setting("client_id"),
            "client_secret": self.store.setting("client_secret"),
        } | asked
        return self.session.post(f"{self.url}/v2/token", json=body)

    def soap(self, body: str, token: str | None = None) -> requests.Response:
        said = ENVELOPE.format(token=self.token() if token is None else token, body=body)
        return self.session.post(
            f"{self.url}/Service.asmx",
            data=said.encode(),
            headers={"Content-Type": "text/xml", "SOAPAction": "Retrieve"},
        )

    def retrieve(
        self,
        object_type: str,
        properties: Sequence[str] = (),
        inside: str = "",
        token: str | None = None,
    ) -> Page:
        listed = "".join(f"<Properties>{name}</Properties>" for name in properties)
        return self.page(
            self.soap(
                f'<RetrieveRequestMsg xmlns="{NAMESPACE}"><RetrieveRequest>'
                f"<ObjectType>{object_type}</ObjectType>{listed}{inside}"
                "</RetrieveRequest></RetrieveRequestMsg>",
                token,
            )
        )

    def page(self, response: requests.Response) -> Page:
        assert response.status_code == 200, response.text
        xml = etree.fromstring(response.content)
        said = xml.find(f".//{{{NAMESPACE}}}RetrieveResponseMsg")
        assert said is not None, response.text
        return Page(
            said.findtext(f"{{{NAMESPACE}}}OverallStatus") or "",
            said.findtext(f"{{{NAMESPACE}}}RequestID") or "",
            [flat(row) for row in said.findall(f"{{{NAMESPACE}}}Results")],
            said,
            response,
        )

    def rest(
        self, method: str, path: str, token: str | None = None, **more: Any
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token() if token is None else token}"}
        return self.session.request(
            method, self.url + path, headers=headers, allow_redirects=False, **more
        )


def flat(element: etree._Element, prefix: str = "") -> dict[str, str | None]:
    """Nested elements as dotted names; a nil one is None; Name and Value pairs by their name."""
    found: dict[str, str | None] = {}
    for child in element.iterchildren(tag=etree.Element):
        name = prefix + etree.QName(child).localname
        if name == "Properties":
            for pair in child:
                found[pair[0].text or ""] = pair[1].text or ""
        elif len(child):
            found |= flat(child, f"{name}.")
        else:
            nil = child.get(f"{{{XSI}}}nil") == "true"
            found[name] = None if nil else child.text or ""
    return found


def simple(name: str, operator: str, *values: str, element: str = "Value") -> str:
    """A SimpleFilterPart as the Filter of a request."""
    return (
        f'<Filter xsi:type="SimpleFilterPart">{_inside(name, operator, values, element)}</Filter>'
    )


def operand(side: str, name: str, operator: str, *values: str, element: str = "Value") -> str:
    return (
        f'<{side}Operand xsi:type="SimpleFilterPart">'
        f"{_inside(name, operator, values, element)}</{side}Operand>"
    )


def both(left: str, logical: str, right: str) -> str:
    """A ComplexFilterPart of two operands."""
    return (
        f'<Filter xsi:type="ComplexFilterPart">{left}'
        f"<LogicalOperator>{logical}</LogicalOperator>{right}</Filter>"
    )


def _inside(name: str, operator: str, values: Sequence[str], element: str) -> str:
    said = "".join(f"<{element}>{value}</{element}>" for value in values)
    return f"<Property>{name}</Property><SimpleOperator>{operator}</SimpleOperator>{said}"


class Host:
    """One server for many tests: each puts its own service there and takes it away again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._app is not None, "no test is using the server"
        await self._app(scope, receive, send)

    @contextmanager
    def serving(self, store: Store, faults: Faults | None = None) -> Iterator[Service]:
        app = application(store, self.url)
        self._app = FaultyWire(app, "marketing_cloud", faults) if faults is not None else app
        made = Service(self.url, store)
        try:
            yield made
        finally:
            made.session.close()
            self._app = None


@contextmanager
def host() -> Iterator[Host]:
    """A server on a free port of this machine, without the CRM beside it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Host(f"http://127.0.0.1:{listener.getsockname()[1]}")
        server = uvicorn.Server(uvicorn.Config(made, lifespan="off", log_config=None, ws="none"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.should_exit = True
            thread.join()
