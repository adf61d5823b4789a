"""What facts mean, without asking anybody: each function takes what was found and judges it."""
