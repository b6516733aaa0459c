"""The only place where AWS and HTTP are spoken; one file a port. The key scheme of a table lives in its adapter."""
