"""After a failure: make it small, say what it looks like, tell lower precision from a mistake, hand it over."""
