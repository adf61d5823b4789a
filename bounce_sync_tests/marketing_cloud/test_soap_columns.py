"""A page read column by column has the texts of a page read row by row."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from bounce_sync.marketing_cloud import soap
from bounce_sync.marketing_cloud.errors import Place
from bounce_sync_tests.marketing_cloud.scripted import PARTNER, envelope

QUESTION = soap.Retrieve("BounceEvent", ("Client.ID", "SendID", "SubscriberKey", "SMTPReason"))

texts = st.sampled_from(["", "a", " \n ", "é &amp; 🙈", "<![CDATA[x<y]]>z"])
elements = st.one_of(
    st.builds("<{0}>{1}</{0}>".format, st.sampled_from(["SendID", "SubscriberKey"]), texts),
    st.builds("<SMTPReason>{}</SMTPReason>".format, texts),
    st.builds("<Client><ID>{}</ID><Name>x</Name></Client>".format, texts),
    st.sampled_from(["<Client/>", "<SMTPReason/>", '<PartnerKey xsi:nil="true"/>']),
)
rows = st.lists(st.lists(elements, max_size=7).map("".join), max_size=5)


@settings(deadline=None)
@given(rows)
def test_no_text_moves_to_another_row_or_property(inside: list[str]) -> None:
    page = envelope("".join(f'<Results xsi:type="BounceEvent">{row}</Results>' for row in inside))
    found = soap.read_page(page, QUESTION, Place("a page"))
    results = list(etree.fromstring(page).iter(f"{{{PARTNER}}}Results"))
    assert found.rows == len(results)
    for name in QUESTION.properties:
        path = "/".join(f"{{{PARTNER}}}{step}[1]" for step in name.split("."))
        assert found.columns[name].to_pylist() == [row.findtext(path) or None for row in results]
