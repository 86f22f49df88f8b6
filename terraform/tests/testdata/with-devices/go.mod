module carillon.example
