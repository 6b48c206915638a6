"""Sets of questions as environments: TeleQnA, TeleMath, and problems made on demand."""
