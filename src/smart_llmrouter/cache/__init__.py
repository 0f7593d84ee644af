"""Which answers may be served again, and where they are kept until then."""
