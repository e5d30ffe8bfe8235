"""Which machines may work at all."""
