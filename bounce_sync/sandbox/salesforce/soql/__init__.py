"""SOQL: its words, its tree, the dates it can name, and the SQL it becomes."""
