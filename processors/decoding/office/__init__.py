"""Documents that are text to begin with: office files, HTML, e-mail, plain text. Only the decoding child comes here."""
