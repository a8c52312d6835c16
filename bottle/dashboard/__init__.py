"""`bottle dashboard`: a Textual app that shows bottles and their requests, and does what the operator decides."""
