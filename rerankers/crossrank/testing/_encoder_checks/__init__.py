"""The promises of an encoder, a few related ones per module; each check is a function of a case."""
