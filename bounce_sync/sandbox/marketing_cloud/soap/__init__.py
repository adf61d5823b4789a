"""`Service.asmx`: what the SOAP API of Marketing Cloud answers (facts/marketing-cloud.md 4)."""
