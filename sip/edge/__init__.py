"""The SIP front door: a proxy with Record-Route that hands out lines and keeps only a soft map."""
