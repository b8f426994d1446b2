"""The page a run leaves behind, and the page that compares runs: each one file, without scripts or addresses."""
