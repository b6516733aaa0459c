"""Where it runs: the stack of every stage, and what is deployed in it."""
