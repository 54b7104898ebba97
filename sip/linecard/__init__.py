"""One pjsua2 endpoint: SIP legs and a conference bridge, driven over the control protocol."""
