"""The policies of operators: rules, a script, and a service that is asked over HTTP."""
