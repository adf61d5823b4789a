"""The Metadata API: what an org consists of, read, retrieved and deployed.

SOAP over our own connection: simple-salesforce's helper bypasses the CA file and, after a deploy,
sends every later REST call as XML (facts/salesforce.md §1.1, §1.7). Names and order of elements
are those of the metadata WSDL. The user needs 'Modify Metadata Through Metadata API Functions'.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from bounce_sync.salesforce.connection import Connection
from bounce_sync.salesforce.errors import ServiceUnavailable, UnreadableAnswer, masked
from bounce_sync.salesforce.transport import Answer

NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
READ_AT_ONCE = 10
"""Components that one readMetadata may name."""

_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0

Members = Mapping[str, Sequence[str]]
"""Kind of component → full names, as a package.xml lists them."""


@dataclass(frozen=True)
class Problem:
    """A component that wasn't deployed, and what the CRM says of it (masked)."""

    kind: str
    full_name: str
    said: str

    def __str__(self) -> str:
        return f"{self.kind} {self.full_name}: {self.said}"


def parse(content: bytes) -> etree._Element:
    """XML with entities, DTDs and the network refused. Raises ``ValueError``."""
    try:
        root = etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        raise ValueError(f"no XML: {error}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise ValueError("the XML has a DTD")
    return root


def element(name: str, *children: etree._Element, text: str | None = None) -> etree._Element:
    """An element of the metadata namespace."""
    made = etree.Element(f"{{{NAMESPACE}}}{name}", nsmap={None: NAMESPACE})  # type: ignore[dict-item]
    made.text = text
    made.extend(children)
    return made


def texts(**values: str) -> list[etree._Element]:
    """Elements of these names with these texts, in order."""
    return [element(name, text=value) for name, value in values.items()]


def types(members: Members) -> list[etree._Element]:
    """The ``types`` of a package.xml."""
    return [
        element("types", *(element("members", text=name) for name in names), *texts(name=kind))
        for kind, names in members.items()
        if names
    ]


class MetadataApi:
    """The set-up of one org. Raises the errors of `Connection.request`."""

    def __init__(
        self, connection: Connection, version: str | None = None, *, longest_wait: float = 900.0
    ) -> None:
        self._connection = connection
        self.version = version or connection.org.api_version
        self._longest_wait = longest_wait

    def newest(self) -> MetadataApi:
        """The same at the newest API version of the org: the one in which nothing is lost."""
        what = "list of API versions"

        def read(answer: Answer) -> str:
            try:
                return max((str(each["version"]) for each in answer.json()), key=float)
            except (KeyError, TypeError) as error:
                raise UnreadableAnswer(what, "no list of versions.") from error

        version = self._connection.request("GET", "/services/data", what=what, read=read)
        return MetadataApi(self._connection, version, longest_wait=self._longest_wait)

    def read(self, kind: str, names: Sequence[str]) -> dict[str, etree._Element]:
        """Those of the named components that are there, by full name."""
        found = {}
        for start in range(0, len(names), READ_AT_ONCE):
            asked = [
                element("fullNames", text=name) for name in names[start : start + READ_AT_ONCE]
            ]
            result = self._call("readMetadata", f"read of {kind}", *texts(type=kind), *asked)
            for record in result.iterfind("{*}result/{*}records"):
                name = record.findtext("{*}fullName")
                if record.get(_NIL) != "true" and name:
                    found[name] = record
        return found

    def names(self, kind: str) -> list[str]:
        """Full names of all components of a kind."""
        asked = [element("queries", *texts(type=kind)), *texts(asOfVersion=self.version)]
        result = self._call("listMetadata", f"list of {kind}", *asked)
        return [
            name for one in result.iterfind("{*}result") if (name := one.findtext("{*}fullName"))
        ]

    def retrieve(self, members: Members) -> bytes:
        """The zip of these components, in the layout that a deployment takes."""
        unpackaged = element("unpackaged", *types(members), *texts(version=self.version))
        asked = element(
            "retrieveRequest",
            *texts(apiVersion=self.version, singlePackage="true"),
            unpackaged,
        )
        what = "retrieval of " + ", ".join(members)
        started = self._call("retrieve", what, asked)
        result = self._finished("checkRetrieveStatus", "includeZip", started, what)
        packed = result.findtext("{*}zipFile")
        try:
            return base64.b64decode(packed or "", validate=True)
        except binascii.Error:
            raise UnreadableAnswer(what, "its zip isn't base64.") from None

    def deploy(self, archive: bytes, what: str = "deployment") -> list[Problem]:
        """Deploys a zip, all of it or, where anything is wrong with it, nothing.

        Gives what was wrong; nothing was changed then.
        """
        # Without a testLevel the org decides, and runs no test for a package without Apex;
        # NoTestRun is refused in production (github.com/forcedotcom/cli/issues/2105).
        options = element(
            "DeployOptions",
            *texts(
                allowMissingFiles="false",
                autoUpdatePackage="false",
                checkOnly="false",
                ignoreWarnings="false",
                performRetrieve="false",
                purgeOnDelete="false",
                rollbackOnError="true",
                singlePackage="true",
            ),
        )
        packed = base64.b64encode(archive).decode()
        started = self._call("deploy", what, *texts(ZipFile=packed), options)
        result = self._finished("checkDeployStatus", "includeDetails", started, what)
        if result.findtext("{*}success") == "true":
            return []
        problems = [
            Problem(*(failure.findtext(f"{{*}}{name}") or "" for name in _FAILURE))
            for failure in result.iter("{*}componentFailures")
        ]
        said = result.findtext("{*}errorMessage") or "failed without a reason"
        return [
            Problem(each.kind, each.full_name, masked(each.said))
            for each in problems or [Problem("Package", "package.xml", said)]
        ]

    def _finished(
        self, operation: str, whole: str, started: etree._Element, what: str
    ) -> etree._Element:
        """The result of what was started, once it is done."""
        key = started.findtext("{*}result/{*}id")
        if not key:
            raise UnreadableAnswer(what, "it was started without an id.")
        until, pause = time.monotonic() + self._longest_wait, _FIRST_PAUSE
        while True:
            asked = texts(asyncProcessId=key, **{whole: "true"})
            result = self._call(operation, what, *asked).find("{*}result")
            if result is None:
                raise UnreadableAnswer(what, "no result.")
            if result.findtext("{*}done") == "true":
                return result
            if time.monotonic() >= until:
                raise ServiceUnavailable(
                    what,
                    f"not done after {self._longest_wait:g} seconds.",
                    "Look at Setup › Deployment Status, then run again.",
                )
            self._connection.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _call(self, operation: str, what: str, *parts: etree._Element) -> etree._Element:
        """The response's element of one SOAP call."""
        asked = element(operation, *parts)

        def envelope(token: str) -> bytes:
            root = etree.Element(f"{{{_ENVELOPE}}}Envelope", nsmap={"soapenv": _ENVELOPE})
            header = etree.SubElement(root, f"{{{_ENVELOPE}}}Header")
            header.append(element("SessionHeader", *texts(sessionId=token)))
            etree.SubElement(root, f"{{{_ENVELOPE}}}Body").append(asked)
            return etree.tostring(root, xml_declaration=True, encoding="UTF-8")

        def read(answer: Answer) -> etree._Element:
            found = parse(answer.content).find(f"{{*}}Body/{{*}}{operation}Response")
            if found is None:
                raise UnreadableAnswer(what, f"no {operation}Response.")
            return found

        return self._connection.request(
            "POST",
            f"/services/Soap/m/{self.version.lstrip('v')}",
            what=what,
            read=read,
            data=envelope,
            headers={
                "Content-Type": "text/xml; charset=UTF-8",
                "Accept": "text/xml",
                "SOAPAction": operation,
            },
        )


_FAILURE = ("componentType", "fullName", "problem")
