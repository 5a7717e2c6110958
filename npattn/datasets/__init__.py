"""Small data that ships with the package or is generated: import the module you need."""
