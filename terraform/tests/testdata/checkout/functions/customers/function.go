package customers
