"""Telling people what became of a run, and which days are missing, through Apprise.

`digest` and `overdue` say what there is to tell, purely; `stories` reads it from Dagster's event
log; `sending` delivers it; `telling` does all of that for a run; `sensors` call it.
"""
