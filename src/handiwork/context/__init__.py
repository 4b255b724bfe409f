"""What agents and people are told of artifacts instead of, or beside, their content."""
