"""Each function asks one thing of a patient and has it judged. Nothing here writes anywhere.

They raise the errors of the clients and of the ledger, which say what to do; `examining` makes
findings of those.
"""
