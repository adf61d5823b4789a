"""bounce_sync: Salesforce CRM tells the truth about who can still be reached by e-mail."""
