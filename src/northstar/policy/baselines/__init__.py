"""Other systems' policies, each faithful to its source: what North Star's own are compared with, and what a rollback goes back to."""
