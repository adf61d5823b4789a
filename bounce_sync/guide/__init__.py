"""The guide, for those who run bounce_sync: one page for each thing that people come to do.

`data_dictionary.md` and `checks.md` are written from the code that they describe:
``python -m bounce_sync.guide`` writes them anew. A test compares them, and runs every command of
the other pages.
"""
