"""What the contests train on: tables, pictures, functions and laws."""
