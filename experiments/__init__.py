"""The trainings behind the tables of the book."""
