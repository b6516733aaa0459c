"""In-memory fakes; each passes the same contract tests as the adapter that it stands for."""
