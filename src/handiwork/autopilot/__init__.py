"""A goal pursued by a model in iterations, until its criteria are met or its budget is used up."""
