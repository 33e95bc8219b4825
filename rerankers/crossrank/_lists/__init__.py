"""Who is compared, and what came of it: candidate lists, fusion, rankings."""
