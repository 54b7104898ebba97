"""Everything that speaks SIP: the edge (front door, proxy) and the line cards (pjsua2 user agents with a conference bridge).

May import `media.patch` and `media.control`. Others talk to it over the control protocol only; the exchange imports the
process entry points.
"""
