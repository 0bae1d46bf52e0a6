"""The programs that write the records of the book, in helpers/records."""
