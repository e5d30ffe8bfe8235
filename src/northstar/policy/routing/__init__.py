"""Which machine may serve which work, and how long to wait for a better one."""
