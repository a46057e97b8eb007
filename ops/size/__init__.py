"""How large an environment is to be for so many people: a model of their use, a day of it, and what that costs."""
