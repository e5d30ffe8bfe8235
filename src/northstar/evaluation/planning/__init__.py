"""Plans: the cheapest fleet that meets goals, found by simulations of the deployed broker."""
