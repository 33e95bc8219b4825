"""The promises of an encoder, a few related ones a module: its public functions, each of a case."""
