"""Numbers from attention: links between words, and antecedents."""
