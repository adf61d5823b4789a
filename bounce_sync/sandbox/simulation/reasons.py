"""What receiving mail servers say when they refuse: in their languages, at their lengths.

A reason is a pure function of the bounce's kind, its salt and the address, so that a bounce that
waits for its record needs to remember one number. Real reasons hold the address that was refused,
line breaks, quotes, markup and scripts of every kind; some quote whole messages and run to
thousands of characters. The edges that truncation has to survive (499 to 501, 3,999 to 4,001
characters, characters beyond the basic plane) come up on purpose.
"""

from __future__ import annotations

from bounce_sync.sandbox.simulation.bounce_kinds import KINDS

_SAID: dict[str, tuple[str, ...]] = {
    "user_unknown": (
        "550 5.1.1 <{address}>: Recipient address rejected: User unknown in virtual mailbox table",
        "550 5.1.1 The email account that you tried to reach does not exist. Please try "
        "double-checking the recipient's email address for typos or unnecessary spaces. "
        "For more information, go to https://help.{domain}/answer/6596 {trace} - smtp",
        "550 Requested action not taken: mailbox unavailable\r\n550-{host} Postfach existiert nicht"
        " (Empfänger unbekannt) – bitte prüfen Sie die Schreibweise",
        "550 5.1.1 Адресат <{address}> не найден: почтовый ящик не существует ({trace})",
        "550 5.1.1 宛先のメールアドレスが存在しません。アドレスをご確認ください <{address}>",
        "550 5.1.1 用户不存在 (Mailbox not found: {address}) [{ip}]",
    ),
    "mailbox_disabled": (
        "554 delivery error: dd This user doesn't have a {domain} account ({address}) [-5]"
        " - {host}",
        "554 5.7.1 هذا الحساب معطل ولم يعد يستقبل الرسائل <{address}>",
        "554 30 Sorry, your message to {address} cannot be delivered. "
        'This mailbox is disabled ("554.30").',
    ),
    "domain_unknown": (
        "550 5.1.2 <{address}>: Host or domain name not found. Name service error for "
        "name={domain} type=MX: Host not found",
        "550 5.4.310 DNS domain {domain} does not exist [Message=InfoDomainNonexistent] "
        "[LastAttemptedServerName={domain}] [{host}]",
    ),
    "bad_syntax": (
        "501 5.1.3 Bad recipient address syntax: {address}",
        '501 Syntax error in parameters or arguments: "RCPT TO:<{address}>"',
    ),
    "inactive_hard": (
        "550 5.2.1 The email account that you tried to reach is inactive. {trace}",
        "550 5.2.1 이 계정은 휴면 상태입니다. 메일을 받을 수 없습니다. ({address})",
    ),
    "mailbox_full": (
        "552 5.2.2 The email account that you tried to reach is over quota 📪 {trace}",
        "552 5.2.2 <{address}>: La boîte du destinataire est pleine\nVeuillez réessayer plus tard",
        "452 4.2.2 Mailbox full\r\n\r\nToo many messages: quota 100 % used (בתיבה אין מקום)",
        "552 5.2.2 收件人邮箱已满 <{address}>",
    ),
    "inactive_soft": (
        "450 4.2.1 The user you are trying to contact is receiving mail too quickly or is "
        "inactive: <{address}>",
    ),
    "domain_failure": (
        "451 4.4.3 Temporary server error. Please try again later ATTR{trace} [{host}]",
        "451 4.3.5 {domain}: falha temporária no domínio; tente mais tarde",
    ),
    "soft_other": (
        "452 4.3.1 Insufficient system resources (TSTE) on {host}",
        "451 4.7.1 Greylisting in action, please come back later & retry <{trace}>",
    ),
    "complaint": (
        "554 5.7.1 Message not accepted: complaints from users of {domain} about mail from [{ip}]",
    ),
    "spam": (
        "554 5.7.1 Service unavailable; Client host [{ip}] blocked using a reputation list; "
        "https://check.{domain}/query/ip/{ip}",
        "554 5.7.9 Message not accepted for policy reasons -- 因垃圾邮件被拒收 {trace}",
        "550 5.7.1 [{ip}] Our system has detected that this message is likely unsolicited mail. "
        "To reduce the amount of spam sent to {domain}, this message has been blocked. {trace}",
    ),
    "content": (
        "550 5.7.1 Message rejected due to content restrictions, 'rule 17; \"offer\"' ({trace})",
    ),
    "url": ("554 5.7.1 A URL in this email (links.mail.example/x?a=1&b=<2>) is on a block list",),
    "authentication": (
        "550 5.7.26 Unauthenticated email from mail.example is not accepted due to domain's "
        "DMARC policy. {trace}",
        "550 5.7.515 Access denied, sending domain doesn't meet the required authentication level"
        "\t(SPF=Pass, DKIM=Fail)",
    ),
    "block_other": (
        "571 5.7.1 {host} Message refused by the recipient's gateway; reference {trace}",
        "550 #5.7.1 Ваше сообщение отклонено политикой безопасности {domain}",
    ),
    "busy": (
        "421 4.7.0 [TSS04] Messages from {ip} temporarily deferred due to user complaints - "
        "4.16.55.1",
        "421 4.3.2 {host} Service not available, closing transmission channel\r\n"
        "Too many connections",
    ),
    "format": ("503 5.5.2 Unexpected end of DATA from {host}",),
    "network": (
        "Unable to connect to MX servers for {domain}: [{ip}] timed out after 00:05:00",
        "4.4.2 connection dropped by {host} while sending end of data",
    ),
    "technical_other": (
        "451 4.3.0 {host} Temporary lookup failure ({trace})",
        "451 4.5.0 SMTP protocol violation, see RFC 2821 ({trace})",
    ),
    "unclear": (
        "Автоответ: сообщение не доставлено\r\n\r\nThis is an automatically generated message.",
        "Delivery to the following recipient failed permanently: {address}",
        "smtp;  = ? utf-8 ? ??? {trace}",
    ),
    "unreadable": ("",),
}
_EDGES = (499, 500, 501, 3_999, 4_000, 4_001, 4_096, 6_500)
_ONE_IN_EDGE = 150
"""About one reason in 150 carries the rest of a returned message and ends at one of the edges."""
_ASTRAL = "📭𝔑𠮷"


def smtp_message(kind: int) -> str | None:
    """The short form that SFMC keeps beside the reason (``SMTPMessage``)."""
    subcategory = KINDS[kind].subcategory
    return subcategory[1] if subcategory else None


def reason(kind: int, salt: int, address: str, domain: str) -> str | None:
    """What the server of ``domain`` said about ``address``; None where SFMC kept nothing."""
    said = _SAID[KINDS[kind].name]
    template = said[salt % len(said)]
    if not template:
        return None
    text = template.format(
        address=address,
        domain=domain,
        host=f"mx{salt % 7 + 1}.{domain}",
        ip=f"192.0.2.{salt % 254 + 1}",
        trace=f"{salt * 2_654_435_761 % 16**10:010x}",
    )
    if salt // 8 % _ONE_IN_EDGE:
        return text
    return _returned_message(text, address, domain, _EDGES[salt // 8 // _ONE_IN_EDGE % len(_EDGES)])


def _returned_message(text: str, address: str, domain: str, length: int) -> str:
    """The reason followed by as much of the returned message as makes ``length`` characters.

    The last characters are beyond the basic plane, so that a cut at an edge falls on them.
    """
    hop = (
        f"\r\nReceived: from mta.mail.example (192.0.2.1) by mx.{domain} with ESMTPS\r\n"
        f"\tfor <{address}>; Diagnostic-Code: smtp; {text}"
    )
    body = text + hop * (length // len(hop) + 1)
    return body[: length - len(_ASTRAL)] + _ASTRAL
