"""What is true: pure rules of remote monitoring. No clock, no network, no environment, no AWS."""
