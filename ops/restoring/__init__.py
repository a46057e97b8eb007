"""The database brought back: to a second of the last days, or, where its region is gone, from a copy in another."""
