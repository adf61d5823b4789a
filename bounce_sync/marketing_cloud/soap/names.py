"""The namespaces that requests and answers share."""

from __future__ import annotations

PARTNER = "http://exacttarget.com/wsdl/partnerAPI"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
TYPE = f"{{{XSI}}}type"
