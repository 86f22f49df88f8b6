package mailings
