"""Commands: each parses, calls one function, prints; torch is imported inside, where it is needed."""
