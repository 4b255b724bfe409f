"""Running programs and keeping what they make."""
