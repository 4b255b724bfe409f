"""The same verbs over HTTP. What a server does with a request is not known here."""
