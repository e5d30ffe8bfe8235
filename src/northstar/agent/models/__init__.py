"""The models of a machine: what is there, what is fetched, and what makes room. `store.ModelStore` is the way in."""
