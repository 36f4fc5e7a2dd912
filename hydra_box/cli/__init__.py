"""The command line: parse, call the client, print. stdout is data, stderr is talk."""
