"""One file a queue; each offers `adapter(url)`, see `benchmarks.peers.adapter`."""
