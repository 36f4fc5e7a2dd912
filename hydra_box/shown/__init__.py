"""How things are told to people, in the terminal's two programs alike: values in, words out."""
