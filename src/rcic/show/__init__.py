"""Pictures and pages for people: the report."""
