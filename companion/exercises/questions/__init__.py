"""The questions themselves, a file for each part of the book: content, not machinery."""
