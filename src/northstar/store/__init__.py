"""What North Star keeps, and where: Valkey for what is hot, SQL for history, files for outputs."""
