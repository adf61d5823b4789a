"""Writes the pages that come from the code."""

from bounce_sync.guide.written import FOLDER, PAGES

for name, page in PAGES.items():
    (FOLDER / name).write_text(page(), encoding="utf-8")
